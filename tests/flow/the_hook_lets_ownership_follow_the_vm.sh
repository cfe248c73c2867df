#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What libvirtd would do with the hook, with qemu-io as the VM: a service that never owned
# the disk serves it before the VM comes; when the VM is gone at the owner, ownership goes
# to who runs it, and to nobody who has it only open, or open for something else.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../vm_hook.sh"
need jq qemu-io
OTHER_UUID=ffffffff-1111-2222-3333-444455556666
device=$(new_device vda 64M)
cmp_device=$(new_device other 64M)
head -c 64M /dev/urandom >"$cmp_device"

start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
start_service c --disk "name=vda,device=$cmp_device,role=standby"

# Attaching, by hand.
fails_with 1 "no service is known that could name its owner" -- baton attach vda --at "$(control_of b)"
fails_with 1 "b has not learned yet which disk this is" -- \
    baton attach vda --at "$(control_of c)" --owner "$(control_of b)"
fails_with 1 "a owns it itself" -- \
    baton attach vda --at "$(control_of a)" --owner "$(control_of b)"
fails_with 1 "another device" -- \
    baton attach vda --at "$(control_of c)" --owner "$(control_of a)"
eq "$(status_of c vda .role)" standby "role at c, whose device is another one"
fails_with 1 "has no disk nope" -- \
    baton attach nope --at "$(control_of b)" --owner "$(control_of a)"
fails_with 1 "another device" -- hook c prepare begin

# The VM runs at a.
hook a prepare begin
vm_open a
vm_do "write -P 1 0 4k" 'wrote 4096/4096'

# It is to come to b: b can serve the disk, twice; a owns it.
arrives b
arrives b
eq "$(roles_of vda)" "owner given" "roles before the VM comes"
eq "$(jq -r '.body.disk | "\(.peer_name) \(.learned)"' "$T/b.state/disk/vda.json")" \
    "a true" "b's record"
io "$(uri_of b vda)" "read -P 1 0 4k" # a client from before: reads through b

# The migration fails: at b the domain is gone before it ran.
hook b stopped end
hook b release end
eq "$(roles_of vda)" "owner given" "roles after a migration that failed"

# The VM is destroyed: nobody runs it.
vm_close
hook a stopped end
hook a release end
said a 'VM web is gone and runs nowhere else' 1
eq "$(roles_of vda)" "owner given" "roles after the VM was destroyed"

# A client at b that libvirt did not announce writes; that is not the VM.
hook a prepare begin
vm_open b
vm_do "write -P 2 4k 4k" 'wrote 4096/4096'
io "$(uri_of a vda)" "write -P 3 8k 4k"
hook a release end
said a 'VM web is gone and runs nowhere else' 2
vm_close
# Nor is one of another domain.
hook b prepare begin "$OTHER_UUID"
vm_open b
vm_do "write -P 2 4k 4k" 'wrote 4096/4096'
hook a release end
said a 'VM web is gone and runs nowhere else' 3
eq "$(roles_of vda)" "owner given" "roles after a write of another domain"
vm_close

# It migrates: open at b, it takes nothing along while the VM has not ended at a; then,
# when it writes...
hook a prepare begin
io "$(uri_of a vda)" "write -P 4 12k 4k"
arrives b
vm_open b
hook a stopped end
eq "$(roles_of vda)" "owner given" "roles while the VM does not run yet"
hook a release end
vm_do "write -P 5 16k 4k" 'wrote 4096/4096'
said a 'VM web runs at b: its disks are owned there now' 1
eq "$(roles_of vda)" "given owner" "roles after the migration"
vm_do "read -P 4 12k 4k" 'read 4096/4096'

# Back.
arrives a
vm_close
vm_open a
vm_do "write -P 6 16k 4k" 'wrote 4096/4096'
hook b release end
said b 'VM web runs at a: its disks are owned there now' 1
eq "$(roles_of vda)" "owner given" "roles after the way back"
vm_close

# Early: ownership goes first, and comes back when the migration fails: the VM runs here.
hook a prepare begin
vm_open a
vm_do "write -P 7 20k 4k" 'wrote 4096/4096'
echo 'policy = early' >"$T/policy"
arrives b
rm "$T/policy"
eq "$(roles_of vda)" "given owner" "roles after an early prepare"
hook b release end
said b 'VM web runs at a: its disks are owned there now' 2
eq "$(roles_of vda)" "owner given" "roles after an early migration that failed"
vm_do "read -P 7 20k 4k" 'read 4096/4096'
vm_close

# A service that is not there is no failure of the hook's.
stop_service b
hook b prepare begin 2>"$T/hook.err"
contains "$(cat "$T/hook.err")" "b.ctl" "what the hook says of a service that is away"
hook b release end 2>/dev/null
hook b reconnect begin
BATON_HOOK_CONF=$T/nope "$BATON_BIN_DIR/baton-libvirt-hook" web reconnect begin - </dev/null
# Without its file it stops domains that may have a disk of ours, and no others.
domain /run/there.nbd "$VM_UUID" >"$T/there.xml"
fails_with 1 "nope: No such file" -- env BATON_HOOK_CONF="$T/nope" \
    "$BATON_BIN_DIR/baton-libvirt-hook" web prepare begin - <"$T/there.xml"
echo "<domain><uuid>$VM_UUID</uuid></domain>" |
    BATON_HOOK_CONF=$T/nope "$BATON_BIN_DIR/baton-libvirt-hook" web prepare begin -

# Another host's socket becomes ours; everything else of the XML stays, and a domain
# without such a disk is not printed at all.
printf 'control = unix:/x\nmap = /run/there.nbd /run/here.nbd\n' >"$T/map.conf"
sed 's|/run/there|/run/here|' "$T/there.xml" >"$T/here.xml"
BATON_HOOK_CONF=$T/map.conf "$BATON_BIN_DIR/baton-libvirt-hook" web migrate begin - \
    <"$T/there.xml" | tail -n +2 | tr \" \' | diff - <(tr \" \' <"$T/here.xml") >&2 ||
    fail "the XML changed otherwise"
eq "$(BATON_HOOK_CONF=$T/map.conf "$BATON_BIN_DIR/baton-libvirt-hook" web migrate \
    begin - <"$T/here.xml")" "" "output for a domain that needs nothing"
stop_service a
stop_service c
