#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ctest: TIMEOUT 600
# The other QEMU dies, the hook gets no answer in time, libvirtd is restarted, and at last
# the VM itself dies, each during a migration: the owner stays where it is, and the guest
# that lives goes on without an error. scripts/campaign-libvirt-failures does more of it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"
need_libvirt
HOOK_TIMEOUT=2s

hosts_start
services_start 256M
guest_build "$T"
vm_start a
vm_goes_on "its start"

fails() { # FAULT: and nothing moves
    fault_run "$1"
    fault_judge "$1"
    eq "$MIGRATED $OWNER" "no a" "migrated, and who is the owner, after $1"
}
fails destination-qemu-killed
fault_mend "$FROM"

# libvirtd of b is not held up for longer than the hook's time.
fails hook-timeout-prepare
[ "$REFUSED_MS" -lt 8000 ] || fail "the migration is refused after $REFUSED_MS ms"
contains "$(cat "$T/migrate.log")" "Hook script" "what virsh says of the time-out"
contains "$(cat "$T/hook.b.log")" "web prepare: $(control_of b): " "what the hook says of it"
fault_mend "$FROM"

# The daemon that drives the migration goes away; the VM does not.
fails source-libvirtd-restarted
libvirtd_restart b
fault_mend "$FROM"

# The VM itself dies: nobody runs it.
fails source-qemu-killed
await_log a 'VM web is gone and runs nowhere else' 1
for name in a b; do
    eq "$(status_of "$name" D .ledger.failed)" 0 "failed requests at $name"
    stop_service "$name"
done
