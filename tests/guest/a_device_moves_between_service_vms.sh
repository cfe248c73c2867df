#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The short form of scripts/campaign-service-vm: a device moves from one service VM to
# another and back under load that verifies itself, once with the event waited for and
# once with both having it; the QEMU that it comes from is killed on the way.
# ctest: TIMEOUT 300
. "$(dirname "$0")/../flow/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/service_vm.sh"
. "$(dirname "$0")/service_vm_moves.sh"
PATH=$PATH:/sbin:/usr/sbin
need qemu-system-x86_64 busybox cpio modprobe mkfs.ext4 socat nbdkit jq
guest_kernel >/dev/null 2>&1 || skip "no kernel of linux-image-cloud-amd64 in /boot"

start_pair
start_load 1
report=$(move vm1 vm2) || fail "the move: $report"
eq "$(jq -r .outcome <<<"$report")" "done" "outcome"
eq "$(status_of vm2 vda .role) $(status_of vm1 vda .role)" "owner given" "roles"
! has_device vm1 || fail "vm1 still has the device"
has_device vm2 || fail "vm2 has no device"

# The same once more: nothing is left to be done.
report=$(move vm1 vm2) || fail "the same order again: $report"
eq "$(jq -r .resumed <<<"$report")" true "resumed"

report=$(move vm2 vm1 --share) || fail "the move back: $report"
eq "$(status_of vm1 vda .role) $(status_of vm2 vda .role)" "owner given" "roles"
! has_device vm2 || fail "vm2 still has the device"

# Parked, and its device out of it: it has the record, the other one the device.
move_and_kill vm1 vm2 attach 0
eq "$MOVE_STATUS" 3 "status of the move ($MOVE_SAID)"
come_back vm1 vm2
stop_load
verify_device vm2
