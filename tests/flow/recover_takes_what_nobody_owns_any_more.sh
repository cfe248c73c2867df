#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The owner is gone for good. `baton recover` tells so and changes nothing; --take is
# refused while somebody who answers or the device's lock contradicts it, and then makes
# the service the owner of a disk on which everything is.
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-nbd jq
device=$(new_device vda 16M)
start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
ctl=$(control_of a)

# recovered FILTER: of what recover says about the only disk
recovered() {
    baton recover vda --at "$ctl" --json "${@:2}" | jq -r ".disks[0]$1"
}

io "$(uri_of a vda)" "write -P 1 0 1M"
eq "$(recovered .state)" owner "state of a disk that is well"
out=$(baton recover vda --at "$ctl" --take) || fail "an owner cannot take what it owns"
contains "$out" "is owned by a already, at epoch 1"
handoff vda a b >/dev/null
io "$(uri_of a vda)" "write -P 2 1M 1M" flush

note "the owner lives"
eq "$(recovered .state) $(recovered .may_take)" "served-elsewhere false" "state"
eq "$(recovered '.others[0] | .service, .role, .epoch' | xargs)" "b owner 2" "the owner"
fails_with 1 served-elsewhere -- baton recover vda --at "$ctl" --take
eq "$(status_of a vda .role) $(status_of a vda .epoch)" "given 2" "a, which was refused"

note "the owner is gone, and somebody has the device"
kill_service b
qemu-nbd -f raw -k "$T/other.sock" -x other --pid-file="$T/other.pid" --fork -t "$device" ||
    fail "qemu-nbd does not start"
stop_other() {
    [ ! -s "$T/other.pid" ] || kill "$(cat "$T/other.pid")"
}
at_exit stop_other
eq "$(recovered .state) $(recovered .device.lock)" "in-use held" "state"
contains "$(recovered .device.holder)" "qemu-nbd (pid $(cat "$T/other.pid"))" "the holder"
fails_with 1 "qemu-nbd (pid" -- baton recover vda --at "$ctl" --take
eq "$(status_of a vda .role)" given "role of a, which was refused"
other=$(cat "$T/other.pid")
kill "$other"
wait_end "$other" 10
rm -f "$T/other.pid"

note "nobody has it"
out=$(baton recover vda --at "$ctl")
contains "$out" "vda at a: owner-silent"
contains "$out" "b does not answer"
contains "$out" "acknowledged by the other side and not flushed"
eq "$(recovered '| .state, .may_take, .next_epoch, .device.lock' | xargs)" \
    "owner-silent true 4 free" "verdict"
io "$(uri_of a vda)" "read -P 2 1M 1M" & # waits for an owner
reader=$!
eq "$(status_of a vda .role) $(status_of a vda .epoch)" "given 2" "a, which was only asked"
baton recover vda --at "$ctl" --take
wait "$reader" || fail "the read that waited failed"
eq "$(status_of a vda '| .role, .epoch, .forced_epoch' | xargs)" "owner 4 4" "a"
[ "$(status_of a vda .taken_at)" -gt 0 ] || fail "when it was taken is not known"
io "$(uri_of a vda)" "read -P 1 0 1M" "read -P 2 1M 1M" "write -P 3 0 4k" flush
ledger_balances a vda

note "it stays so, and the service that was away stands down"
stop_service a
start_service a --disk "name=vda,device=$device"
eq "$(status_of a vda '| .role, .epoch, .forced_epoch' | xargs)" "owner 4 4" "a"
start_service b --disk "name=vda,device=$device,role=standby"
eq "$(status_of b vda '| .role, .state, .epoch' | xargs)" "standby superseded 4" "b"
grep -q "vda is superseded" "$(log_of b)" || fail "b does not say why"
fails_with 1 served-elsewhere -- baton recover vda --at "$(control_of b)" --take
if io "$(uri_of b vda)" "read 0 4k" 2>/dev/null; then
    fail "a superseded service serves"
fi
stop_service b
start_service b --disk "name=vda,device=$device,role=standby"
eq "$(status_of b vda .state)" superseded "b after another restart"
stop_service a
stop_short b # it is asked, and does not answer
start_service a --disk "name=vda,device=$device"
kill -CONT -- "-${SERVICE_PID[b]}"
handoff vda a b >/dev/null
eq "$(status_of b vda '| .role, .state, .epoch, .forced_epoch' | xargs)" "owner open 5 4" "b"
io "$(uri_of b vda)" "read -P 3 0 4k" "read -P 1 4k 1020k" "read -P 2 1M 1M"
