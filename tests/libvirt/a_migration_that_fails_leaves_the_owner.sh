#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ctest: TIMEOUT 600
# The other QEMU dies, the hook gets no answer in time, libvirtd is restarted, and at last
# the VM itself dies, each during a migration: the owner stays where it is, and the guest
# that lives goes on without an error.
. "$(dirname "$0")/lib.sh"
need_libvirt
HOOK_TIMEOUT=2s

# begin_slow: a migration that cannot end by itself, under way
begin_slow() {
    local heard
    heard=$(grep -c 'VM web is coming' "$(log_of b)" || true)
    virsh_on a migrate-setspeed "$VM" 1
    vm_migrate a b >>"$T/migrate.log" 2>&1 &
    JOB=$!
    await_log b 'VM web is coming' $((heard + 1))
    until virsh_on a domjobinfo "$VM" 2>/dev/null | grep -q 'Memory processed'; do
        kill -0 "$JOB" || fail "the slow migration has ended: $(cat "$T/migrate.log")"
        pause 0.05
    done
}
has_failed() { # WHAT
    ! wait "$JOB" || fail "a migration succeeds after $1"
    eq "$(roles_of D)" "owner given" "roles after $1"
}
qemu_of() { cat "$T/host.$1/run/libvirt/qemu/$VM.pid"; }

hosts_start
services_start 256M
guest_build "$T"
vm_start a
vm_goes_on "its start"

begin_slow
kill -KILL "$(qemu_of b)"
has_failed "the death of the other QEMU"
eq "$(vm_state a)" running "state of the VM after the death of the other QEMU"
vm_goes_on "the death of the other QEMU"

# b cannot answer: libvirtd of b is not held up for longer than the hook's time.
kill -STOP -- "-${SERVICE_PID[b]}"
began=${EPOCHREALTIME/./}
vm_migrate a b >"$T/refused.log" 2>&1 && fail "a migration to a service that hangs succeeds"
took_ms=$(((${EPOCHREALTIME/./} - began) / 1000))
kill -CONT -- "-${SERVICE_PID[b]}"
await_log b 'VM web is gone' 2 # it hears of it in the end, in the same order
[ "$took_ms" -lt 8000 ] || fail "the migration is refused after $took_ms ms"
contains "$(cat "$T/refused.log")" "Hook script" "what virsh says of the time-out"
contains "$(cat "$T/hook.b.log")" "web prepare: $(control_of b): " "what the hook says of it"
eq "$(vm_state a)" running "state of the VM after a hook's time-out"
vm_goes_on "a hook's time-out"

# The daemon that drives the migration goes away; the VM does not.
begin_slow
libvirtd_restart a
has_failed "a restart of libvirtd"
eq "$(vm_state a)" running "state of the VM after a restart of libvirtd"
vm_goes_on "a restart of libvirtd"
libvirtd_restart b
until [ "$(vm_state b)" != paused ]; do
    virsh_on b destroy "$VM" >/dev/null 2>&1 || true
done

# The VM itself dies: nobody runs it.
begin_slow
kill -KILL "$(qemu_of a)"
has_failed "the death of the VM"
await_log a 'VM web is gone and runs nowhere else' 1
eq "$(roles_of D)" "owner given" "roles after the death of the VM"
! grep '^ERROR' "$VM_CONSOLE" || fail "the guest met an error"
for name in a b; do
    eq "$(status_of "$name" D .ledger.failed)" 0 "failed requests at $name"
    stop_service "$name"
done
