#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# After the commit the next owner dies before it is told, and comes back with another
# device in its configuration than the one that was compared. It says no, and nothing is
# written there: the disk is taken back, or stays parked.
. "$(dirname "$0")/lib.sh"
need qemu-io jq
need_breakpoints
device=$(new_device vda 8M)
other=$(new_device other 8M)
start_service a --disk "name=vda,device=$device"
io "$(uri_of a vda)" "write -P 1 0 4k"

# refuses WHERE: the handoff to a b that changes its device, and the disk stays with a
refuses() {
    local job
    start_service b --disk "name=vda,device=$device,role=standby"
    break_clear a
    handoff_until a owner-committed
    kill_service b
    start_service b --disk "name=vda,device=$other,role=standby"
    break_go a owner-committed
    await_refusal
    contains "$(cat "$T/why")" "vda is still $1 a"
    contains "$(cat "$T/why")" "another device"
    kill_service b
}

refuses "served by"
io "$(uri_of a vda)" "read -P 1 0 4k"
baton park vda --at "$(control_of a)" --quiet
refuses "parked at"
baton unpark vda --at "$(control_of a)" --quiet
io "$(uri_of a vda)" "read -P 1 0 4k"
cmp -n 8M "$other" /dev/zero || fail "something was written to the other device"

note "with the device that was compared it is the owner, started again or not"
start_service b --disk "name=vda,device=$device,role=standby"
break_clear a
handoff_until a owner-committed
kill_service b
start_service b --disk "name=vda,device=$device,role=standby"
break_go a owner-committed
wait "$job" || fail "the handoff fails: $(cat "$T/why")"
eq "$(roles_of vda)" "given owner" "roles"
io "$(uri_of a vda)" "read -P 1 0 4k"
stop_service a
stop_service b
