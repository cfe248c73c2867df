#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A VM leaves while its service is restarted. Another VM that reads the same base image there
# does not keep the VM's own disk back.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../vm_hook.sh"
need jq qemu-io qemu-storage-daemon
device=$(new_device vda 64M) base=$(new_device vbase 64M)
start() {
    start_service "$1" --peer "$(control_of "$([ "$1" = a ] && echo b || echo a)")" \
        --disk "name=vda,device=$device,role=$2" --disk "name=vbase,device=$base,role=$2"
}
disk_xml() { # SERVICE NAME TARGET [MORE]
    echo "<disk type='network' device='disk'><source protocol='nbd' name='$2'>" \
        "<host transport='unix' socket='$(socket_of "$1")'/></source>" \
        "<target dev='$3'/>${4-}</disk>"
}
web_at() { # SERVICE: a disk of its own, and a base that it only reads
    echo "<domain type='qemu'><name>web</name><uuid>$VM_UUID</uuid><devices>" \
        "$(disk_xml "$1" vda vda)$(disk_xml "$1" vbase vdb '<readonly/>')</devices></domain>"
}
start a owner
start b standby
hook_xml a prepare begin < <(web_at a)
io "$(uri_of a vda)" "write -P 1 0 4k"
hook_xml b migrate begin < <(web_at b)
hook_xml b prepare begin < <(web_at b)
vm_open b
kill_service a
start a owner
vm_hold a ro:vbase # another VM
vm_do "write -P 2 4k 4k" 'wrote 4096/4096' # web runs at b; what libvirt says to a is lost
end=$((SECONDS + 20))
until [ "$(roles_of vda)" = "given owner" ]; do
    [ "$SECONDS" -lt "$end" ] || fail "vda stays at a: $(roles_of vda)"
    pause 0.1
done
vm_let_go "$HELD"
vm_close
stop_service a
stop_service b
