#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A service that was restarted while its VM left, and was not told so by libvirt, gives the
# disk to where the VM runs, and from then on does not say that the VM runs here: when the
# VM has ended there, the disk stays.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../vm_hook.sh"
need jq qemu-io
device=$(new_device vda 64M)
start() {
    start_service "$1" --peer "$(control_of "$([ "$1" = a ] && echo b || echo a)")" \
        --disk "name=vda,device=$device,role=$2"
}
start a owner
start b standby
# The VM migrates; a is killed meanwhile, and its QEMU there comes back and writes.
hook a prepare begin
io "$(uri_of a vda)" "write -P 1 0 4k"
arrives b
vm_open b
kill_service a
start a owner
io "$(uri_of a vda)" "write -P 1 8k 4k"
# It runs at b now, and what libvirt says to a about that is lost.
vm_do "write -P 2 4k 4k" 'wrote 4096/4096'
said a 'VM web runs at b: its disks are owned there now' 1
eq "$(roles_of vda)" "given owner" "roles after the migration"
vm_close
hook b release end
said b 'VM web is gone and runs nowhere else: its disks stay here' 1
eq "$(roles_of vda)" "given owner" "roles after the VM has ended"
stop_service a
stop_service b
