#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A missing, shrunk or locked device and a damaged record are the trouble of one disk: the
# service starts and serves the others, says what is wrong in status and log, refuses who
# opens the disk or changes its ownership, and serves it without a restart when all is well.
. "$(dirname "$0")/lib.sh"
need qemu-io nbdinfo jq
declare -a disks=()
for name in good gone shrunk locked damaged; do
    disks+=(--disk "name=$name,device=$(new_device "$name" 16M)")
done
start_service a "${disks[@]}"
for name in good gone shrunk locked damaged; do
    io "$(uri_of a "$name")" "write -P 7 0 64k"
done
stop_service a

mv "$T/gone.img" "$T/elsewhere.img"
truncate -s 8M "$T/shrunk.img"
mkfifo "$T/holder"
: >"$T/holder.out" # tail needs it before qemu-io has opened it
qemu-io -f raw "$T/locked.img" <"$T/holder" >>"$T/holder.out" 2>&1 &
exec 7>"$T/holder"
echo "write -P 7 0 64k" >&7 # it has its locks when that is answered
timeout 20 grep -q wrote < <(tail -f -s 0.05 "$T/holder.out") || fail "no holder"
cp "$T/a.state/disk/damaged.json" "$T/damaged.json"
sed -i 's/"epoch": 1/"epoch": 2/' "$T/a.state/disk/damaged.json"
start_service a "${disks[@]}"

in_trouble() { # DISK FRAGMENT
    eq "$(status_of a "$1" .state)" failed "state of $1"
    contains "$(status_of a "$1" .reason)" "$2" "reason of $1"
    wait_log a "disk $1 is not served here now: .*; trying again" || fail "the log says nothing of $1"
    fails_with 1 "$2" -- baton park "$1" --at "$(control_of a)"
    ! io "$(uri_of a "$1")" "read 0 4k" 2>/dev/null || fail "$1 can be opened"
}
is_served() { # DISK
    local end=$((SECONDS + 20))
    until [ "$(status_of a "$1" .state)" = open ]; do
        [ "$SECONDS" -lt "$end" ] || fail "$1 is not served again"
        pause 0.05
    done
    io "$(uri_of a "$1")" "read -P 7 0 64k" "write -P 8 64k 64k" || fail "I/O of $1"
}
in_trouble gone "No such file"
in_trouble shrunk "size"
in_trouble locked "lock"
in_trouble damaged "damaged.json"
is_served good
contains "$(baton status --at "$(control_of a)")" "gone is not served here now" "status"
eq "$(nbdinfo --list --json "nbd+unix://?socket=$(socket_of a)" |
    jq -r '[.exports[]."export-name"] | join(" ")')" good "exports that are listed"

mv "$T/elsewhere.img" "$T/gone.img"
truncate -s 16M "$T/shrunk.img"
echo quit >&7
mv "$T/damaged.json" "$T/a.state/disk/damaged.json"
for name in gone shrunk locked damaged; do
    is_served "$name"
    wait_log a "$name is served now" || fail "the log does not say that $name is served"
done
stop_service a

# Of a service that never served anything a mistake is seen at once.
launch_service c --disk "name=x,device=$T/no-such-file"
wait_log c "No such file" || fail "no reason"
wait_end "${SERVICE_PID[c]}" 20 || fail "it does not end"
unset "SERVICE_PID[c]"
