#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# release only
# ctest: TIMEOUT 600
# As between real hosts: each service in the network of its host, and the other one is
# reached over TCP with TLS only, by certificates with the hosts' names. The VM migrates
# there and back; the owner follows, and the guest sees no error.
. "$(dirname "$0")/../tls/lib.sh"
. "$(dirname "$0")/lib.sh"
need_libvirt
need certtool

peer_of() { echo "tcp:$(host_ip "$(other_of "$1")"):10810"; }
service_arguments() {
    printf '%s\n' --listen "tcp:$(host_ip "$1"):10809" --announce "tcp:$(host_ip "$1"):10809" \
        --control "tcp:$(host_ip "$1"):10810" --tls-certificates "$T/$1.pki"
}
# in_network HOST: what is started next is in its network
in_network() { SERVICE_ENTER=(nsenter --target "${HOST_PID[$1]}" --net --); }

hosts_start
make_ca ca
for name in a b; do
    make_host "$name" ca "ip_address = \"$(host_ip "$name")\""
done
DEVICE=$(new_device disk 256M)
mkfs.ext4 -q -F "$DEVICE"
for name in a b; do
    DISK_OPTIONS=,peers-allowed=$(other_of "$name")
    in_network "$name"
    service_start "$name"
done
SERVICE_ENTER=()
guest_build "$T"
vm_start a
vm_goes_on "its start"

vm_migrate a b || fail "the migration to b fails"
owned_by b "the migration to b"
vm_goes_on "the migration to b"
vm_migrate b a || fail "the migration back fails"
owned_by a "the migration back"
vm_goes_on "the migration back"

# Nobody spoke to the other but over TLS: the unix sockets that both see were for nothing.
eq "$(jq -r '.body.disk.peer_control' "$T/b.state/disk/D.json")" \
    "tcp:$(host_ip a):10810" "how b reaches the owner"
vm_stop a
for name in a b; do
    eq "$(status_of "$name" D .ledger.failed)" 0 "failed requests at $name"
    [ ! -s "$T/hook.$name.log" ] || fail "the hook at $name: $(cat "$T/hook.$name.log")"
    stop_service "$name"
done
