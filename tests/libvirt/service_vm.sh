# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: BSD-3-Clause
# service_vm.sh - after lib.sh, power_cut.sh, guest/service_vm.sh and
# guest/service_vm_moves.sh: the two service VMs are domains of the libvirt of host a,
# vm1 and vm2, and a device is plugged in and pulled out by libvirt. The host's service
# runs in that host's network, where the ports of the VMs are.
#
#   define_virt_pair          and then, as start_pair:
#   start_virt_pair           vm1 owns vda and has its device
#   virt_start NAME           also again, with what its definition has
#   virt_kill NAME            virsh destroy
VIRT_URI="qemu+unix:///system?socket=$T/host.a/run/libvirt/libvirt-sock"

host_prepare() {
    # guestfwd=...-cmd: QEMU starts a program.
    echo 'seccomp_sandbox = 0' >>"$2/qemu.conf"
}

vm_of() { echo "libvirt:$VIRT_URI#$1"; }
virt() { virsh -q -c "$VIRT_URI" "$@"; }

# virt_xml NAME DISK-OPTIONS PEER: without the device. q35 with free root ports, since
# ACPI hot-plug into these is the fastest that there is.
virt_xml() {
    local name=$1 argument
    describe_service_vm "$name" host "$2" "$3"
    cat <<END
<domain type='$([ "$VM_ACCEL" = kvm ] && echo kvm || echo qemu)'
    xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>$name</name>
  <memory unit='MiB'>512</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>$T/kernel</kernel>
    <initrd>$T/guest.gz</initrd>
    <cmdline>console=ttyS0 panic=-1 quiet no_timer_check $VM_APPENDED</cmdline>
  </os>
  <features><acpi/></features>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='$T/$name.records'/>
      <target dev='vda' bus='virtio'/>
      <serial>records</serial>
    </disk>
    <controller type='pci' model='pcie-root'/>
    <controller type='pci' model='pcie-root-port'/>
    <controller type='pci' model='pcie-root-port'/>
    <controller type='pci' model='pcie-root-port'/>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='file'><source path='$(log_of "$name")' append='on'/></serial>
  </devices>
  <qemu:commandline>
$(for argument in "${VM_WIRES[@]}"; do echo "    <qemu:arg value='$argument'/>"; done)
  </qemu:commandline>
</domain>
END
}

# virt_define NAME PEER [DISK-OPTIONS]: what it is started with from now on
virt_define() {
    virt_xml "$1" "${3:-$MOVE_DISK_OPTIONS}" "$2" >"$T/$1.xml"
    # QEMU is no root, and may not come to where we build.
    install -m 644 "$VM_IMAGE/kernel" "$VM_IMAGE/guest.gz" "$T"
    virt undefine "$1" >/dev/null 2>&1 || true # or it is the first time
    virt define "$T/$1.xml" >/dev/null
}

virt_launch() {
    touch "$(log_of "$1")"
    # On these hosts libvirt gives QEMU's user nothing (dynamic_ownership).
    chmod 666 "$(log_of "$1")" "$T/$1.records" "$MOVE_FILE"
    chmod 777 "$T" # for its wire
    READY_BEFORE[$1]=$(grep -c 'SERVICE READY' "$(log_of "$1")") || true # or none
    rm -f "$T/$1.wire" # of a life before
    virt start "$1" >/dev/null
}
declare -A READY_BEFORE=()

virt_await() {
    local end=$((SECONDS + 120))
    until [ "$(grep -c 'SERVICE READY' "$(log_of "$1")")" -gt "${READY_BEFORE[$1]}" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "the service VM $1 does not start"
        pause_ms 100
    done
    wait_answer "$1"
}

virt_start() {
    virt_launch "$1"
    virt_await "$1"
}

virt_kill() { virt destroy "$1" >/dev/null; }

# The element that "baton vm move-device" makes as well.
device_xml() {
    cat <<END
<disk type='file' device='disk'>
  <driver name='qemu' type='raw' discard='unmap'/>
  <source file='$MOVE_FILE'/><target dev='vdb' bus='virtio'/>${VM_SHAREABLE-}
  <serial>vda</serial><alias name='ua-vda'/>
</disk>
END
}

# define_virt_pair: all but the VMs runs; a test may define these otherwise then.
define_virt_pair() {
    hosts_start
    # shellcheck disable=SC2034 # of flow/lib.sh
    SERVICE_ENTER=(nsenter --target "${HOST_PID[a]}" --net --)
    new_move_device
    start_service host --disk "name=vda,device=$MOVE_FILE" \
        --announce unix:/run/host.nbd --peer "$(control_of vm1)" --peer "$(control_of vm2)"
    virt_define vm1 vm2
    virt_define vm2 vm1
}

# start_virt_pair: QEMU locks the file of a device that it has. So the host's service
# parks the disk before vm1 starts with the device, and hands it over then.
start_virt_pair() {
    baton park vda --at "$(control_of host)" --quiet
    device_xml >"$T/device.xml"
    virt attach-device vm1 "$T/device.xml" --config >/dev/null
    virt_launch vm1
    virt_launch vm2
    virt_await vm1
    virt_await vm2
    handoff vda host vm1 --deadline 30s >/dev/null
}

end_pair() {
    virt_kill vm1
    virt_kill vm2
    kill_service host
}

# Has the domain the device, now (and, --inactive, when it is started again)?
has_device() { virt dumpxml "$@" | grep "<alias name='ua-vda'" >/dev/null; } # all read: pipefail

# is_with NAME WHAT [ROLE]: it owns the disk and has the device, now and when it is started
# again; the other domain has it neither way, and the role given (or this one).
is_with() {
    local other
    other=$(other_of "$1")
    has_device "$1" || fail "$1 has no device after $2"
    has_device "$1" --inactive || fail "the definition of $1 has no device after $2"
    ! has_device "$other" || fail "$other has the device after $2"
    ! has_device "$other" --inactive || fail "the definition of $other has it after $2"
    eq "$(status_of "$1" vda .role)" owner "role after $2"
    eq "$(status_of "$other" vda .role)" "${3-given}" "role of $other after $2"
}
