#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ctest: TIMEOUT 600
# virsh migrate --live to and fro under guest load: after each the service of the host
# where the VM runs owns the disk, and the guest has seen no error. A migration that is
# aborted leaves VM and owner where they are, and so does the end of the VM the owner.
# A second disk that the guest never touches, R, goes where the first one goes.
. "$(dirname "$0")/lib.sh"
need_libvirt
rounds=${BATON_MIGRATIONS-2} # there and back

new_device rarely 16M >/dev/null
service_arguments() {
    printf '%s\n' --disk
    echo "name=R,device=$T/rarely.img$([ "$1" = a ] || echo ,role=standby)"
}
more_disks() {
    cat <<END
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source protocol='nbd' name='R'><host transport='unix' socket='$1'/></source>
      <target dev='vdc' bus='virtio'/>
    </disk>
END
}
# Both disks are owned there.
both_owned_by() { # HOST WHAT
    local end=$((SECONDS + 30))
    owned_by "$1" "$2"
    until [ "$(status_of "$1" R .role)" = owner ]; do
        [ "$SECONDS" -lt "$end" ] || fail "after $2 $1 does not own R: $(roles_of R)"
        pause 0.05
    done
}

hosts_start
services_start 256M
guest_build "$T"
vm_start a
vm_goes_on "its start"

vm_tool() { # HOST ARGUMENT...: baton vm there
    on "$1" "$BATON" vm "${@:2}" --at "$(control_of "$1")" --connect qemu:///system
}
eq "$(vm_tool a list --json | jq -c '.domains[0] | [.domain, .running, .disk, .owner]')" \
    '["web",true,"D","a"]' "what baton vm list says at a"

from=a to=b
for ((i = 1; i <= 2 * rounds; i++)); do
    if [ "$i" -le 2 ]; then # once to and fro by our own command, the others by virsh
        vm_tool "$from" migrate "$VM" "qemu+tcp://$(host_ip "$to")/system" \
            --to "$(control_of "$to")" --json >"$T/migrated.json" || fail "migration $i fails"
        eq "$(jq -c '[.outcome, .service, .disks]' "$T/migrated.json")" \
            "[\"done\",\"$to\",[\"D\",\"R\"]]" "what baton vm migrate reports"
    else
        vm_migrate "$from" "$to" || fail "migration $i fails"
    fi
    both_owned_by "$to" "migration $i"
    eq "$(vm_state "$to")" running "state of the VM at $to"
    vm_goes_on "migration $i"
    read -r from to <<<"$to $from"
done

fails_with 1 "no domain nope runs here; nope still runs where it was" -- vm_tool "$from" \
    migrate nope qemu:///x --to "$(control_of "$to")"
fails_with 1 "libvirt: " -- vm_tool "$from" migrate "$VM" "qemu+tcp://127.0.0.1:1/system" \
    --to "$(control_of "$to")"
eq "$(vm_state "$from")" running "state of the VM after a migration to nowhere"

# Aborted on its way: nothing moves, and the next one succeeds. So slow a migration
# cannot be over before it is aborted.
virsh_on a migrate-setspeed "$VM" 1
vm_migrate a b >"$T/migrate.log" 2>&1 &
job=$!
await_log b 'VM web is coming' $((rounds + 1))
until virsh_on a domjobinfo "$VM" 2>/dev/null | grep -q 'Unbounded\|Memory processed'; do
    kill -0 "$job" || fail "the slow migration has ended: $(cat "$T/migrate.log")"
done
virsh_on a domjobabort "$VM"
! wait "$job" || fail "a migration that was aborted succeeds"
eq "$(vm_state a)" running "state of the VM after an abort"
eq "$(roles_of D)" "owner given" "roles after an abort"
vm_goes_on "an aborted migration"
virsh_on a migrate-setspeed "$VM" 1000
vm_migrate a b || fail "the migration after an aborted one fails"
both_owned_by b "the migration after an aborted one"
vm_goes_on "the migration after an aborted one"

# It ends where it is, twice: by itself, and by force.
vm_stop b
await_log b 'VM web is gone and runs nowhere else' 1
# The definition that is kept still has the socket of a: the hook changes what runs only.
vm_xml "$(socket_of b)" >"$T/$VM.xml"
virsh_on b define "$T/$VM.xml" >/dev/null
virsh_on b start "$VM" >/dev/null
vm_goes_on "a start at b"
virsh_on b destroy "$VM" >/dev/null
await_log b 'VM web is gone and runs nowhere else' 2
eq "$(roles_of D)" "given owner" "roles after the VM was destroyed at b"
vm_tool b define-disk D --target vdb --apply "$VM" >/dev/null 2>&1
contains "$(virsh_on b dumpxml "$VM")" "<target dev='vdb' bus='virtio'/>" "the domain"
eq "$(vm_tool b list --json | jq -c '.domains | map([.running, .disk, .role])')" \
    '[[false,"D","owner"],[false,"D","owner"],[false,"R","owner"]]' "what baton vm list says at b"
for name in a b; do
    eq "$(status_of "$name" D .ledger.failed)" 0 "failed requests at $name"
    ledger_balances "$name" D
    [ ! -s "$T/hook.$name.log" ] || fail "the hook at $name: $(cat "$T/hook.$name.log")"
    stop_service "$name"
done
e2fsck -fp "$DEVICE" >"$T/fsck.log" 2>&1 || [ $? -eq 1 ] ||
    fail "the file system is damaged: $(cat "$T/fsck.log")"
