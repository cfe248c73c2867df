#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A request that waits is in status wherever it does: for an owner that is away, at a client
# of it; for a device that does not answer, at its owner. It says since when, and as soon as
# the owner is back nothing of that is said any more.
. "$(dirname "$0")/lib.sh"
need jq qemu-io nbdkit
start_gated_device gated 4M
vda=$(new_device vda 4M)
start_service a --disk "name=vda,device=$vda" --disk "name=slow,device=$(device_uri gated)"
start_service b --disk "name=vda,device=$vda,role=standby"
handoff vda a b >/dev/null
waiting() { # NAME DISK STATE: wait until that is the state
    local end=$((SECONDS + 20))
    until [ "$(status_of "$1" "$2" .state)" = "$3" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "$2 at $1 is not $3: $(status_of "$1" "$2" .)"
        pause 0.05
    done
}
says() { # DISK SERVICE FRAGMENT
    contains "$(baton status "$1" --at "$(control_of "$2")")" "$3" "the table"
}
old=''
is_older() { # NAME DISK: than at the last question
    local now
    now=$(status_of "$1" "$2" .oldest_us)
    [ "$now" -gt "${old:-0}" ] || fail "oldest_us is $now after $old"
    old=$now
}

# The owner dies under a client's connection.
io "$(uri_of a vda)" "write -P 1 0 4k"
eq "$(status_of a vda '| .state, .waits_for, .search' | xargs)" "open null null" "a healthy client"
kill_service b
io "$(uri_of a vda)" "write -P 2 0 4k" &
writer=$!
waiting a vda waiting
eq "$(status_of a vda '| .waits_for, .in_flight, .queued' | xargs)" "owner 1 0" "a without its owner"
is_older a vda
is_older a vda
says vda a "vda: 1 request waits for the owner b, the oldest for "
says vda a "its owner is not found: "
start_service b --disk "name=vda,device=$vda,role=standby"
wait "$writer" || fail "the write that waited for its owner"
eq "$(status_of a vda '| .state, .waits_for, .search, .oldest_us' | xargs)" "open null null 0" \
    "a when its owner is back"

# The device does not answer.
io "$(uri_of a slow)" "write -P 3 0 4k" &
writer=$!
wait_arrivals 1
waiting a slow waiting
eq "$(status_of a slow '| .waits_for, .in_flight' | xargs)" "device 1" "a with a dead device"
old=''
is_older a slow
says slow a "slow: 1 request waits for the device $(device_uri gated), the oldest for "
open_gate gated
wait "$writer" || fail "the write that waited for its device"
eq "$(status_of a slow '| .state, .waits_for, .oldest_us' | xargs)" "open null 0" "a after that"

# What is held is said, too.
baton park vda --at "$(control_of b)" >/dev/null
io "$(uri_of b vda)" "write -P 4 0 4k" &
writer=$!
end=$((SECONDS + 20))
until [ "$(status_of b vda .oldest_us)" -gt 1000000 ]; do
    [ "$SECONDS" -lt "$end" ] || fail "the age of what is held is not told"
    pause 0.1
done
says vda b "vda: 1 request is held, the oldest for "
baton unpark vda --at "$(control_of b)" >/dev/null
wait "$writer" || fail "the write that was held"
stop_service a
stop_service b
