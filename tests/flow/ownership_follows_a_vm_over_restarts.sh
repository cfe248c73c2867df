#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A service is killed and started again during a migration: the one at the destination
# still knows that the VM was announced there and waits for its connection, the one at
# the source finds out by itself that the VM has gone, whether libvirt's word reached it
# or not; and where the VM has not gone, nothing moves.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../vm_hook.sh"
need jq qemu-io
device=$(new_device vda 64M)

start() { # NAME ROLE
    start_service "$1" --peer "$(control_of "$([ "$1" = a ] && echo b || echo a)")" \
        --disk "name=vda,device=$device,role=$2"
}
# comes FROM TO: the VM runs at FROM, is announced at TO and has its disk open there
comes() {
    hook "$1" prepare begin
    io "$(uri_of "$1" vda)" "write -P 1 0 4k"
    arrives "$2"
    vm_open "$2"
}
now_it_runs() { vm_do "write -P 2 4k 4k" 'wrote 4096/4096'; }

start a owner
start b standby

# The destination forgets nothing, and the VM is awaited there.
comes a b
kill_service b
vm_kill
start b standby
hook a release end
pause 0.5
eq "$(roles_of vda)" "owner given" "roles while the VM has not come back"
vm_open b
now_it_runs
said a 'VM web runs at b: its disks are owned there now' 1
eq "$(roles_of vda)" "given owner" "roles after a restart of the destination"
vm_close

# The source is away when libvirt speaks to it.
comes b a
kill_service b
hook b release end 2>/dev/null
start b standby
now_it_runs
said b 'VM web runs at a: its disks are owned there now' 1
eq "$(roles_of vda)" "owner given" "roles after the source was away"
vm_close

# The source is killed while it asks.
comes a b
hook a release end
kill_service a
start a owner
now_it_runs
said a 'VM web runs at b: its disks are owned there now' 2
eq "$(roles_of vda)" "given owner" "roles after the source was killed"
vm_close

# The destination has the disk before the VM is there (policy early), and is killed: it
# does not give the disk back to where the VM still runs, which is about to come.
comes b a
baton handoff vda --from "$(control_of b)" --to "$(control_of a)" >/dev/null
kill_service a
vm_kill
start a owner
vm_open a
pause 0.5
eq "$(roles_of vda)" "owner given" "roles while the VM is on its way"
now_it_runs
hook b release end
pause 0.5
eq "$(roles_of vda)" "owner given" "roles when it has come"
vm_close

# Its QEMU comes back so late there that the disk goes to where the VM runs, after all:
# it follows the VM all the same when that arrives.
comes a b
baton handoff vda --from "$(control_of a)" --to "$(control_of b)" >/dev/null
kill_service b
vm_kill
start b standby
said b 'VM web runs at a: its disks are owned there now' 2
eq "$(roles_of vda)" "owner given" "roles while nobody is at the destination"
vm_open b
now_it_runs
hook a release end
said a 'VM web runs at b: its disks are owned there now' 3
eq "$(roles_of vda)" "given owner" "roles when it has come late"
vm_close

# The VM stays where it is: so does the owner, and b still knows it.
comes b a
vm_close
hook a release end
kill_service b
start b standby
io "$(uri_of b vda)" "read -P 2 4k 4k"
pause 0.5
eq "$(roles_of vda)" "given owner" "roles after a restart without a migration"
eq "$(cat "$T/b.state/disk/vda.vm")" "$VM_UUID web" "what b keeps of the VM"
[ ! -e "$T/a.state/disk/vda.vm" ] || fail "a still remembers the VM that never came"
echo nonsense >"$T/b.state/disk/vda.vm"
stop_service b
start b standby
stop_service a
stop_service b
