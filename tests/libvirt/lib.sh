# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# lib.sh - two libvirt hosts (hosts.sh) with the hook and a Baton service each, and a
# guest (tests/guest) as a domain "web" whose disk D they serve. A test begins with
#     . "$(dirname "$0")/lib.sh"
#     need_libvirt
LIBVIRT_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$LIBVIRT_DIR/../flow/lib.sh"
. "$LIBVIRT_DIR/../guest/lib.sh"
. "$LIBVIRT_DIR/hosts.sh"
VM=web
VM_CONSOLE=$T/console.log
QEMU_GROUP=libvirt-qemu # Debian's
PATH=$PATH:/sbin:/usr/sbin

# Skips the test where its parts cannot run.
need_libvirt() {
    need libvirtd virsh qemu-system-x86_64 busybox cpio modprobe mkfs.ext4 e2fsck jq ip \
        unshare nsenter
    [ "$(id -u)" -eq 0 ] || skip "two hosts need root"
    guest_kernel >/dev/null 2>&1 || skip "no kernel of linux-image-cloud-amd64 in /boot"
    unshare --mount --uts --net true 2>/dev/null ||
        skip "this machine has no namespaces for us"
    getent group "$QEMU_GROUP" >/dev/null || skip "libvirt here has no group $QEMU_GROUP"
    chmod 711 "$T" # QEMU is no root, as on a stock host, and has its sockets and kernel here
    export XDG_CACHE_HOME=$T XDG_CONFIG_HOME=$T XDG_RUNTIME_DIR=$T
}

# For a test to define otherwise: how the service of the host reaches the other one's,
# and further arguments of it, one a line.
peer_of() { control_of "$(other_of "$1")"; }
service_arguments() { :; }
# Further disks of the domain, as XML; $1 is the socket.
more_disks() { :; }

other_of() { case "$1" in a) echo b ;; b) echo a ;; esac }

# The hook of a host, by a wrapper: libvirtd does not hand its environment on.
host_prepare() {
    local conf=$T/host.$1/hook.conf
    printf 'control = %s\nsocket = %s\npeer = %s\nmap = %s %s\ntimeout = %s\n' \
        "$(control_of "$1")" "$(socket_of "$1")" "$(peer_of "$1")" \
        "$(socket_of "$(other_of "$1")")" "$(socket_of "$1")" "${HOOK_TIMEOUT-10s}" \
        >"$conf"
    [ -z "${HOOK_POLICY-}" ] || echo "policy = $HOOK_POLICY" >>"$conf"
    # Each call leaves a line when it has ended, and "release" waits while it is told to
    # (hold_release).
    cat >"$2/hooks/qemu.d/baton" <<END
#!/bin/sh
export BATON_HOOK_CONF='$conf'
if [ "\$2" = release ] && [ -p '$T/hold.$1' ]; then
    echo held >'$T/hold.$1.hit'
    read _ <'$T/hold.$1'
fi
'$BATON_BIN_DIR/baton-libvirt-hook' "\$@" 2>>'$T/hook.$1.log'
status=\$?
echo "\$2 \$status" >>'$T/hook.$1.calls'
exit \$status
END
    chmod +x "$2/hooks/qemu.d/baton"
}

# services_start SIZE: the disk with a file system, and who serves it; a owns it
services_start() {
    DEVICE=$(new_device disk "$1")
    mkfs.ext4 -q -F "$DEVICE"
    service_start a
    service_start b
}

# service_start HOST: also again, after it was killed, as systemd would
service_start() {
    local role=''
    local -a more
    [ "$1" = a ] || role=,role=standby
    mapfile -t more < <(service_arguments "$1")
    start_service "$1" --peer "$(peer_of "$1")" --socket-group "$QEMU_GROUP" \
        --disk "name=D,device=$DEVICE$role${DISK_OPTIONS-}" "${more[@]}"
}

# hold_release HOST: the next hook "release" there waits for let_release
hold_release() {
    rm -f "$T/hold.$1.hit"
    mkfifo "$T/hold.$1"
}
let_release() {
    echo >"$T/hold.$1"
    rm "$T/hold.$1"
}

# QEMU before 9.0 loses writes of an emulated guest that migrates, whatever serves its disk
# (docs/libvirt.md): it takes the bits of the written pages 64 at a time, and leaves the
# emulated processor in the belief that they are set. It takes them one by one, and tells
# the processor, when the memory is no multiple of 64 pages. libvirt rounds <memory> to
# 1 MiB, so the guest gets another memory by QEMU's own options.
VM_MEMORY_KIB=$((256 * 1024 + 8))

# The domain, with its disk at the socket $1.
vm_xml() {
    cat <<END
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>$VM</name>
  <uuid>7b6ff8e4-3f0c-4a0e-9c4d-1f5a3c0e2d11</uuid>
  <memory unit='MiB'>256</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>$T/kernel</kernel>
    <initrd>$T/guest.gz</initrd>
    <cmdline>console=ttyS0 panic=-1 quiet no_timer_check</cmdline>
  </os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>${VM_EMULATOR-/usr/bin/qemu-system-x86_64}</emulator>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source protocol='nbd' name='D'>
        <host transport='unix' socket='$1'/>
      </source>
      <target dev='vda' bus='virtio'/>
    </disk>
$(more_disks "$1")
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='pty'><log file='$VM_CONSOLE' append='on'/><target port='0'/></serial>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-object'/>
    <qemu:arg value='memory-backend-ram,id=guest.ram,size=${VM_MEMORY_KIB}k'/>
    <qemu:arg value='-machine'/><qemu:arg value='memory-backend=guest.ram'/>
    <qemu:arg value='-m'/><qemu:arg value='${VM_MEMORY_KIB}k'/>
  </qemu:commandline>
</domain>
END
}

# What the console says when the guest's kernel has crashed.
GUEST_CRASHED='general protection fault|Oops|BUG[: ]|Kernel panic|end trace|unable to handle'

# QEMU writes the console's log, and is no root.
vm_console_new() {
    : >"$VM_CONSOLE"
    chmod 666 "$VM_CONSOLE"
}

# vm_start HOST: defines and starts the domain, and waits for its load
vm_start() {
    vm_console_new
    vm_xml "$(socket_of "$1")" >"$T/$VM.xml"
    virsh_on "$1" define "$T/$VM.xml" >/dev/null
    virsh_on "$1" start "$VM" >/dev/null
    vm_await '^GUEST READY' 120 || vm_fail "the guest does not start"
}

# vm_await REGEX SECONDS: a line on the console
vm_await() {
    local end=$((SECONDS + $2))
    until tr -d '\r' <"$VM_CONSOLE" | grep -qE -- "$1"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        pause 0.1
    done
}

vm_rounds() { tr -d '\r' <"$VM_CONSOLE" | grep -c '^round .* ok$'; }

# The guest goes on, and has met no error.
vm_goes_on() { # WHAT
    local wanted=$(($(vm_rounds) + 3)) end=$((SECONDS + 60))
    until [ "$(vm_rounds)" -ge "$wanted" ]; do
        ! grep -q '^ERROR' "$VM_CONSOLE" ||
            fail "the guest after $1: $(grep '^ERROR' "$VM_CONSOLE")"
        ! grep -qaE "$GUEST_CRASHED" "$VM_CONSOLE" ||
            vm_fail "the guest's kernel has crashed after $1"
        [ "$SECONDS" -lt "$end" ] || vm_fail "the guest does not go on after $1"
        pause 0.1
    done
}

# vm_fail WHY: a guest does not do what it should, so first of all: what waits where?
vm_fail() {
    diagnose
    fail "$@"
}

# diagnose: what a failure leaves behind, while it is still there. Does the guest's
# processor stand still, is the machine so busy that it gets no time, or does a request
# wait: in QEMU's device ("inuse"), or in a service? All of it twice, a second apart.
diagnose() {
    local host look
    [ -z "${DIAGNOSED-}" ] || return 0 # by who failed; this is the end of a campaign
    DIAGNOSED=yes
    {
        echo '--- the last that the guest said'
        tr -d '\r' <"$VM_CONSOLE" | tail -n 15
        for look in 1 2; do
            [ "$look" = 1 ] || pause 1
            echo "--- look $look, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
            for host in a b; do
                diagnose_service_ "$host"
                diagnose_qemu_ "$host"
            done
        done
    } >&2
}

diagnose_service_() { # HOST
    timeout 10 "$BATON" status --at "$(control_of "$1")" --json 2>/dev/null |
        jq -c --arg host "$1" '.disks[] |
            {$host, role, state, epoch, in_flight, queued, oldest_us, ledger, search}' ||
        echo "the service of $1 does not answer"
}

diagnose_qemu_() { # HOST
    local virsh=(on "$1" timeout 10 virsh -q -c qemu:///system) state
    state=$("${virsh[@]}" domstate "$VM" --reason 2>&1) || true
    echo "domain at $1: $state"
    case $state in running* | paused*) ;; *) return ;; esac
    {
        "${virsh[@]}" vcpuinfo "$VM" | grep 'CPU time'
        "${virsh[@]}" qemu-monitor-command "$VM" --hmp 'info registers' |
            grep -oE '(RIP|CPL|HLT)=[0-9a-f]+' | paste -sd ' '
        "${virsh[@]}" qemu-monitor-command "$VM" --hmp \
            'info virtio-queue-status /machine/peripheral/virtio-disk0/virtio-backend 0' |
            grep -E 'inuse|_idx'
        "${virsh[@]}" qemu-monitor-command "$VM" '{"execute":"query-blockstats"}' |
            jq -c '.return[] | {device: .qdev} + (.stats | with_entries(select(.key |
                test("^((rd|wr|flush|failed_.*)_operations|idle_time_ns)$"))))'
    } 2>&1 || true # it may end meanwhile
}

# vm_migrate FROM TO [OPTION]...
vm_migrate() {
    local from=$1 to=$2
    shift 2
    virsh_on "$from" migrate --live --p2p --persistent --undefinesource "$@" "$VM" \
        "qemu+tcp://$(host_ip "$to")/system"
}

vm_state() { virsh_on "$1" domstate "$VM" 2>/dev/null || echo none; }

# owned_by HOST WHAT: wait until its service owns the disk
owned_by() {
    local end=$((SECONDS + 30))
    until [ "$(status_of "$1" D .role) $(status_of "$(other_of "$1")" D .role)" = \
        "owner given" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "after $2 $1 is not the owner: $(roles_of D)"
        pause 0.05
    done
}

# await_log NAME REGEX N: N such lines in the log of the service, or more
await_log() {
    local end=$((SECONDS + 30))
    until [ "$(grep -cE "$2" "$(log_of "$1")")" -ge "$3" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "$1 does not say '$2' $3 times"
        pause 0.05
    done
}

# vm_stop HOST: the guest verifies everything and powers off without an error
vm_stop() {
    local pty
    pty=$(virsh_on "$1" ttyconsole "$VM")
    exec {VM_PTY}<>"$pty"
    echo stop >&"$VM_PTY"
    vm_await '^GUEST (OK|FAILED)' 120 || vm_fail "the guest does not stop"
    exec {VM_PTY}>&-
    vm_await '^GUEST OK .* errors=0' 1 ||
        fail "the guest met an error: $(grep -E 'ERROR|GUEST' "$VM_CONSOLE")"
}
