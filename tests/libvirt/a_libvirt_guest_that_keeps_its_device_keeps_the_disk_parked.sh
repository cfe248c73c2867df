#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# release only
# ctest: TIMEOUT 300
# A guest without hot-plug does not let its device go. libvirt reports success for a
# request that nothing follows: baton vm move-device waits for the event, does not plug the
# device in anywhere else, says that the disk is parked, and ends it when it is run again.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
. "$(dirname "$0")/../guest/service_vm.sh"
. "$(dirname "$0")/../guest/service_vm_moves.sh"
. "$(dirname "$0")/service_vm.sh"
need socat nbdkit
need_libvirt

define_virt_pair
VM_APPEND=acpiphp.disable=1 virt_define vm1 vm2
start_virt_pair
start_load 1

note "no event"
MOVE_PLUG_DEADLINE=3s fails_with 3 'vm1 was asked to let vda go' -- move vm1 vm2
stays() {
    eq "$(status_of vm1 vda .role) $(status_of vm2 vda .role)" "parked standby" "roles, $1"
    has_device vm1 || fail "vm1 has no device, $1"
    ! has_device vm2 || fail "vm2 has the device, $1"
}
stays "no event"
virt detach-device vm1 "$T/device.xml" --live >"$T/detach.out" ||
    note "virsh detach-device: $(cat "$T/detach.out")" # reports success after 5 s
stays "libvirt's success"
MOVE_PLUG_DEADLINE=1s fails_with 3 'vm1 was asked to let vda go' -- move vm1 vm2
stays "asked again"

note "its guest starts again, with hot-plug, and the same order ends the move"
virt_kill vm1
virt dumpxml vm1 --inactive | sed 's/ acpiphp.disable=1//' >"$T/vm1.xml"
virt define "$T/vm1.xml" >/dev/null
virt_start vm1
report=$(move vm1 vm2) || fail "the move: $report"
eq "$(jq -r '"\(.outcome) \(.resumed)"' <<<"$report")" "done true" "the same order again"
is_with vm2 "the move"

stop_load
verify_device vm2
