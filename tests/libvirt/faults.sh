# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# faults.sh - what can go wrong during a live migration, one function a fault. After
# lib.sh; hosts, services and the guest are up, and the guest's QEMU reconnects
# (emulator_make). For tests and scripts/campaign-libvirt-failures.
#
#   fault_run NAME    one migration with the fault, from where the guest is: FROM to TO
#   fault_judge NAME  waits until all is quiet and sets RAN_AT (a, b or none), OWNER,
#                     MIGRATED (yes or no); fails when that is not what has to be
#   fault_mend HOST   all is well again for the next one
#
# A fault happens when an event shows that the migration is under way: libvirt tells how
# much of the memory it has copied, at 1 MiB/s, or the source's hook "release" waits,
# when the guest runs at the destination already and the ownership has not followed.
# shellcheck disable=SC2034 # for who uses this
FAULTS='job-aborted destination-qemu-killed source-qemu-killed
    destination-service-killed destination-service-killed-late
    destination-service-killed-following early-destination-service-killed
    source-service-killed source-service-killed-late source-service-killed-following
    hook-timeout-prepare hook-timeout-release
    source-libvirtd-restarted destination-libvirtd-restarted'

# emulator_make: QEMU waits for a service that is away, by the way round that Baton prints
emulator_make() {
    VM_EMULATOR=$T/emulator
    "$BATON" vm define-disk --emulator >"$VM_EMULATOR"
    chmod +x "$VM_EMULATOR"
}

qemu_of() { cat "$T/host.$1/run/libvirt/qemu/$VM.pid"; }
service_signal() { kill "-$2" -- "-${SERVICE_PID[$1]}"; }
hook_calls() { grep -c "^$2 " "$T/hook.$1.calls" 2>/dev/null || true; }

# begin_slow: a migration that cannot end by itself, and copies memory
begin_slow() {
    local heard
    heard=$(grep -c 'VM web is coming' "$(log_of "$TO")" || true)
    virsh_on "$FROM" migrate-setspeed "$VM" 1
    begin_migration
    await_log "$TO" 'VM web is coming' $((heard + 1))
    until virsh_on "$FROM" domjobinfo "$VM" 2>/dev/null | grep -q 'Memory processed'; do
        kill -0 "$JOB" || fail "the slow migration has ended: $(cat "$T/migrate.log")"
        pause 0.05
    done
}
begin_migration() {
    vm_migrate "$FROM" "$TO" >>"$T/migrate.log" 2>&1 &
    JOB=$!
}
go_fast() { virsh_on "$FROM" migrate-setspeed "$VM" 1000; }

# The guest runs at TO, and libvirt's word of that has not reached the service of FROM.
begin_late() {
    hold_release "$FROM"
    begin_migration
    until [ -e "$T/hold.$FROM.hit" ]; do
        kill -0 "$JOB" || fail "the migration has ended: $(cat "$T/migrate.log")"
        pause 0.05
    done
    eq "$(vm_state "$TO")" running "state of the VM while the hook waits"
}

# The service of FROM has been told, and asks a service that does not answer.
begin_following() {
    local calls
    calls=$(hook_calls "$FROM" release)
    begin_late
    service_signal "$TO" STOP
    let_release "$FROM"
    await_calls "$FROM" release $((calls + 1))
}

await_calls() { # HOST OPERATION N
    local end=$((SECONDS + 30))
    until [ "$(hook_calls "$1" "$2")" -ge "$3" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "no hook $2 at $1"
        pause 0.05
    done
}

service_dies() {
    kill_service "$1"
    service_start "$1"
}

fault_job-aborted() {
    begin_slow
    virsh_on "$FROM" domjobabort "$VM"
}
fault_destination-qemu-killed() {
    begin_slow
    kill -KILL "$(qemu_of "$TO")"
}
fault_source-qemu-killed() {
    begin_slow
    kill -KILL "$(qemu_of "$FROM")"
}
fault_destination-service-killed() {
    begin_slow
    service_dies "$TO"
    go_fast
}
fault_source-service-killed() {
    begin_slow
    service_dies "$FROM"
    go_fast
}
fault_destination-service-killed-late() {
    begin_late
    service_dies "$TO"
    let_release "$FROM"
}
fault_source-service-killed-late() {
    begin_late
    kill_service "$FROM" # the hook finds nobody
    let_release "$FROM"
    wait_end "$JOB" 60 || fail "the migration does not end"
    service_start "$FROM"
}
fault_destination-service-killed-following() {
    begin_following
    service_dies "$TO"
}
fault_source-service-killed-following() {
    begin_following
    service_dies "$FROM"
    service_signal "$TO" CONT
}
# The early policy, for this one migration: the ownership has moved, the VM has not.
fault_early-destination-service-killed() {
    echo 'policy = early' >>"$T/host.$TO/hook.conf"
    begin_slow
    sed -i '/^policy = early$/d' "$T/host.$TO/hook.conf"
    eq "$(status_of "$TO" D .role)" owner "role of the destination before the VM is there"
    service_dies "$TO"
    go_fast
}
fault_hook-timeout-prepare() {
    local gone
    gone=$(grep -c 'VM web is gone' "$(log_of "$TO")" || true)
    service_signal "$TO" STOP
    local began_us=${EPOCHREALTIME/./}
    begin_migration
    wait_end "$JOB" 60 || fail "libvirtd is held up by a service that hangs"
    REFUSED_MS=$(((${EPOCHREALTIME/./} - began_us) / 1000))
    service_signal "$TO" CONT
    await_log "$TO" 'VM web is gone' $((gone + 1)) # it hears of it in the end
}
fault_hook-timeout-release() {
    begin_late
    service_signal "$FROM" STOP
    let_release "$FROM"
    wait_end "$JOB" 60 || fail "libvirtd is held up by a service that hangs"
    service_signal "$FROM" CONT
}
fault_source-libvirtd-restarted() {
    begin_slow
    libvirtd_restart "$FROM"
}
fault_destination-libvirtd-restarted() {
    begin_slow
    libvirtd_restart "$TO"
}

# What has to be after each: does the VM run, and where; the owner is always there, and
# where the VM was when it died.
fault_wants() {
    case $1 in
    source-qemu-killed) echo none ;;
    *destination-service-* | source-service-* | hook-timeout-release) echo "$TO" ;;
    *) echo "$FROM" ;;
    esac
}

fault_run() {
    FROM=a
    [ "$(vm_state a)" = running ] || FROM=b
    TO=$(other_of "$FROM")
    : >"$T/migrate.log"
    "fault_$1"
}

fault_judge() {
    local wanted
    # shellcheck disable=SC2034 # for who uses this
    MIGRATED=no
    wait_end "$JOB" 120 || fail "$1: the migration does not end"
    ! wait "$JOB" || MIGRATED=yes
    wanted=$(fault_wants "$1")
    RAN_AT=none
    ! [ "$(vm_state a)" = running ] || RAN_AT=a
    if [ "$(vm_state b)" = running ]; then
        [ "$RAN_AT" = none ] || fail "$1: the VM runs twice"
        RAN_AT=b
    fi
    eq "$RAN_AT" "$wanted" "$1: where the VM runs"
    OWNER=$FROM
    [ "$wanted" != "$TO" ] || OWNER=$TO
    owned_by "$OWNER" "$1"
    [ "$RAN_AT" = none ] || vm_goes_on "$1"
    ! grep '^ERROR' "$VM_CONSOLE" || fail "$1: the guest met an error"
}

# fault_mend HOST: a VM that died starts afresh, at HOST, whoever owns its disk; what
# a migration that was cut off has left is destroyed.
fault_mend() {
    local host=$1
    case $RAN_AT in
    none)
        virsh_on "$(other_of "$host")" undefine "$VM" >/dev/null 2>&1 || true
        vm_start "$host"
        eq "$OWNER" "$(who_owns)" "owner after a fresh start at $host"
        vm_goes_on "a fresh start at $host"
        [ "$OWNER" = "$host" ] || handoff D "$OWNER" "$host" >/dev/null
        ;;
    "$FROM")
        until [ "$(vm_state "$TO")" != paused ]; do
            virsh_on "$TO" destroy "$VM" >/dev/null 2>&1 || true
        done
        go_fast
        ;;
    esac
}
who_owns() { [ "$(status_of a D .role)" = owner ] && echo a || echo b; }
