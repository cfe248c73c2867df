#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# release only
# ctest: TIMEOUT 300
# Two service VMs are domains of libvirt: baton vm move-device moves the device of a disk
# from one to the other and back under load that verifies itself, waiting for libvirt's
# event, and with both having it for a moment. The command is killed on the way, and given
# again.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
. "$(dirname "$0")/../guest/service_vm.sh"
. "$(dirname "$0")/../guest/service_vm_moves.sh"
. "$(dirname "$0")/service_vm.sh"
need socat nbdkit
need_libvirt

define_virt_pair
VM_SHAREABLE='<shareable/>' start_virt_pair
start_load 1
start_load 2
# moved TO [OPTION]...: from the other one
moved() {
    local to=$1 report
    shift
    report=$(move "$(other_of "$to")" "$to" "$@") || fail "the move to $to: $report"
    eq "$(jq -r '"\(.outcome) \(.resumed)"' <<<"$report")" "done ${RESUMED-false}" "the move to $to"
    is_with "$to" "the move to $to"
    note "clients waited $(jq -r '"\(.stall_us / 1000 | round) ms \(.phases)"' <<<"$report")"
}
moved vm2 --share
moved vm1 --share
moved vm2
moved vm1

note "kill -9 of the command: given again it ends the move"
at=vm1
for where in "detach 0" "detach 60" "attach 0" "attach 8"; do
    to=$(other_of "$at")
    # shellcheck disable=SC2086 # two words
    kill_command "$at" "$to" $where
    note "$where: status $MOVE_STATUS; given again it $MOVE_END"
    is_with "$to" "a kill in $where"
    at=$to
done

note "the same order again: nothing is left to be done"
RESUMED=true moved vm1

note "not both: QEMU has locked a device that is not shareable"
fails_with 1 '"outcome":"refused"' -- move vm1 vm2 --share
is_with vm1 "a move that was refused"

stop_load
verify_device vm1
