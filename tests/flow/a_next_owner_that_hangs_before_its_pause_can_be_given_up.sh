#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The next owner hangs when it is asked to hold its clients. The owner serves on, and an
# abort does not have to wait for the handoff's deadline.
. "$(dirname "$0")/lib.sh"
need jq qemu-io
need_breakpoints
device=$(new_device vda 16M)
start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
handoff vda a b >/dev/null
break_at a next-preparing wait
break_at b owner-pausing wait
"$BATON" handoff vda --from "$(control_of b)" --to "$(control_of a)" --deadline 10m \
    >"$T/report" 2>"$T/why" &
job=$!
await_hit a next-preparing
io "$(uri_of a vda)" "write -P 5 0 4k" # this is what a has to hold
break_go a next-preparing
await_hit b owner-pausing
stop_short a
break_go b owner-pausing
io "$(uri_of b vda)" "write -P 6 4k 4k"
baton abort vda --at "$(control_of b)" >/dev/null
wait_end "$job" 30 || fail "the handoff goes on: $(baton status vda --at "$(control_of b)" --json)"
contains "$(cat "$T/why")" "aborted on request"
contains "$(cat "$T/why")" "nothing changed: vda is still served by b"
eq "$(status_of b vda '| .role, .epoch, .state' | xargs)" "owner 2 open" "b"
kill -CONT -- "-${SERVICE_PID[a]}"
io "$(uri_of a vda)" "read -P 5 0 4k" "read -P 6 4k 4k" "write -P 7 8k 4k"
io "$(uri_of b vda)" "read -P 7 8k 4k"
stop_service a
stop_service b
