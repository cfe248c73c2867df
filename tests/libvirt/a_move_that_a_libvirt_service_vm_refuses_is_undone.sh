#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# release only
# ctest: TIMEOUT 300
# Two service VMs are domains of libvirt. What baton vm move-device cannot do changes
# nothing: the second one's service does not see the device and refuses, and the first has
# it back; a domain that is none; another file than the device's; a guest that is paused; a
# domain that does not run. Clients go on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
. "$(dirname "$0")/../guest/service_vm.sh"
. "$(dirname "$0")/../guest/service_vm_moves.sh"
. "$(dirname "$0")/service_vm.sh"
need socat nbdkit
need_libvirt

define_virt_pair
virt_define vm2 vm1 name=vda,device=/dev/vdz,appears-within=2s,role=standby
start_virt_pair
start_load 1

note "the second one's service never sees the device"
fails_with 1 'is served at' -- move vm1 vm2
is_with vm1 "it went back" standby

note "no such domain"
right=$(declare -f vm_of)
vm_of() { echo "libvirt:$VIRT_URI#$([ "$1" = vm2 ] && echo nobody || echo "$1")"; }
fails_with 1 "no domain with matching name 'nobody'" -- move vm1 vm2
eval "$right"
is_with vm1 "a domain that is none" standby

note "another file"
file=$MOVE_FILE MOVE_FILE=$(new_device other 32M)
fails_with 1 "its device vda is not $MOVE_FILE" -- move vm1 vm2
MOVE_FILE=$file
is_with vm1 "another file" standby

note "the guest of the first one is paused: its service does not answer"
virt suspend vm1 >/dev/null
fails_with 1 'vm1.ctl: no answer; it hangs or is stopped' -- move vm1 vm2
virt resume vm1 >/dev/null
is_with vm1 "the pause" standby

note "the second domain does not run"
virt_kill vm2
fails_with 1 '"outcome":"refused"' -- move vm1 vm2
has_device vm1 || fail "vm1 has lost its device"
eq "$(status_of vm1 vda .role)" owner "role"
eq "$(virt domstate vm2)" "shut off" "vm2"

stop_load
end_pair() {
    virt_kill vm1
    kill_service host
}
verify_device vm1
