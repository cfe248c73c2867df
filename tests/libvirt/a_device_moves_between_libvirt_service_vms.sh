#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ctest: TIMEOUT 300
# Two service VMs are domains of libvirt: baton vm move-device moves the device of a disk
# from one to the other and back under load that verifies itself, waiting for libvirt's
# event, and once with both having it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
. "$(dirname "$0")/../guest/service_vm.sh"
. "$(dirname "$0")/../guest/service_vm_moves.sh"
. "$(dirname "$0")/service_vm.sh"
need socat nbdkit
need_libvirt
[ -z "${BATON_PRELOAD-}" ] || skip "only what is installed runs in a VM: no sanitizers"

start_virt_pair
start_load 1
start_load 2
for to in vm2 vm1 vm2 vm1; do
    report=$(move "$(other_of "$to")" "$to") || fail "the move to $to: $report"
    eq "$(jq -r '"\(.outcome) \(.resumed)"' <<<"$report")" "done false" "the move to $to"
    is_with "$to" "the move to $to"
    jq -c '{stall_us, phases}' <<<"$report"
done

note "the same order again: nothing is left to be done"
report=$(move vm2 vm1) || fail "the same order again: $report"
eq "$(jq -r '"\(.outcome) \(.resumed)"' <<<"$report")" "done true" "the same order again"
is_with vm1 "the same order again"

stop_load
verify_device vm1
