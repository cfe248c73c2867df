#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# It is the domain that runs here or there: where it has written to one disk all of them
# go, also those that it only reads, does not touch, or cannot write, and groups whole.
# A VM that writes nothing at all goes too, once it has ended where it was. A disk that
# was plugged in later goes, and one whose VM stays does not.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../vm_hook.sh"
need jq qemu-io qemu-storage-daemon
QUIET_UUID=0a0b0c0d-2222-2222-3333-444455556666
STAYS_UUID=0a0b0c0d-3333-2222-3333-444455556666
DISKS='data logs idle iso pair1 pair2 plugged quiet1 quiet2 stays'

start() { # NAME ROLE
    local disk
    local -a disks=()
    for disk in $DISKS; do
        case $disk in
        iso) disks+=(--disk "name=iso,device=$T/iso.img,readonly=on,role=$2") ;;
        pair*) disks+=(--disk "name=$disk,device=$T/$disk.img,vm=pair,role=$2") ;;
        *) disks+=(--disk "name=$disk,device=$T/$disk.img,role=$2") ;;
        esac
    done
    start_service "$1" --peer "$(control_of "$([ "$1" = a ] && echo b || echo a)")" \
        "${disks[@]}"
}
web() { # SERVICE OP SUB-OP [DISK]...
    domain_of "$(socket_of "$1")" "$VM_UUID" data logs idle iso pair1 pair2 "${@:4}" |
        hook_xml "$1" "$2" "$3"
}
quiet() { domain_of "$(socket_of "$1")" "$QUIET_UUID" quiet1 quiet2 | hook_xml "$1" "$2" "$3"; }
stays() { domain_of "$(socket_of "$1")" "$STAYS_UUID" stays | hook_xml "$1" "$2" "$3"; }
# owners: "DISK:OWNER " of all
owners() {
    baton status --at "$(control_of a)" --json | jq -r '.disks | map("\(.name):\(.owner)") | join(" ")'
}
owners_are() { # EXPECTED WHAT
    local end=$((SECONDS + 30))
    until [ "$(owners)" = "$1" ]; do
        [ "$SECONDS" -lt "$end" ] || eq "$(owners)" "$1" "owners $2"
        pause 0.05
    done
}

for disk in $DISKS; do
    new_device "$disk" 8M >/dev/null
done
start a owner
start b standby

# The VMs run at a: web has written to one disk, quiet to none.
web a prepare begin
quiet a prepare begin
stays a prepare begin
vm_hold a logs idle ro:iso pair1 pair2 plugged quiet1 quiet2 stays
at_a=$HELD
vm_open a data
vm_do "write -P 1 0 4k" 'wrote 4096/4096'
vm_close

# web comes to b, and writes to data.
web b migrate begin plugged
web b prepare begin plugged
vm_hold b logs idle ro:iso pair1 pair2 plugged
web_at_b=$HELD
vm_open b data
vm_do "write -P 2 0 4k" 'wrote 4096/4096'
web a release end plugged
owners_are "data:b logs:b idle:b iso:b pair1:b pair2:b plugged:b quiet1:a quiet2:a stays:a" \
    "after web has gone to b"
eq "$(status_of b pair1 .epoch)" "$(status_of b pair2 .epoch)" "epochs of the group"

# quiet comes to b and writes nothing there, either; one more is announced there, and its
# migration has not ended: it goes on at a.
quiet b migrate begin
quiet b prepare begin
stays b migrate begin
stays b prepare begin
vm_hold b quiet1 quiet2 stays
quiet_at_b=$HELD
quiet a release end
owners_are "data:b logs:b idle:b iso:b pair1:b pair2:b plugged:b quiet1:b quiet2:b stays:a" \
    "after quiet has gone to b"

# Both come back; web has never written since it was at b but to data, and at a it does not
# write at all.
vm_close
vm_let_go "$web_at_b"
vm_let_go "$quiet_at_b"
vm_let_go "$at_a"
web a migrate begin plugged
web a prepare begin plugged
quiet a migrate begin
quiet a prepare begin
vm_hold a data logs idle ro:iso pair1 pair2 plugged quiet1 quiet2
web b release end plugged
quiet b release end
owners_are "data:a logs:a idle:a iso:a pair1:a pair2:a plugged:a quiet1:a quiet2:a stays:a" \
    "after both have come back"
vm_let_go "$HELD"
stop_service a
stop_service b
