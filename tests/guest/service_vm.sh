# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# service_vm.sh - for tests, after flow/lib.sh and guest/lib.sh: services in VMs of their
# own, with a disk whose file is the host's. To the host each looks as other services do:
# control_of NAME is its control socket (a bridge), and its channel is announced as a
# TCP port of the host's loopback. To each other they have the same names. The host's
# service HOST is unix:/run/host.ctl to them, and announces unix:/run/host.nbd.
# qmp_of NAME is the monitor of its QEMU.
qmp_of() { echo "$T/$1.qmp"; }
# NAME-ctl and NAME-nbd -> TCP port of the host's loopback; NAME-nr -> its number
declare -A VM_PORTS=()
NR_VMS=0

# free_port: one that nobody listens on now
free_port() {
    local port
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        port=$((20000 + RANDOM % 12000)) # below what clients are given
        if ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port" && return
        fi
    done
    fail "no free port"
}

# Once, before any: the image, and how it is run.
prepare_service_vms() {
    [ -z "${VM_IMAGE-}" ] || return 0
    VM_IMAGE=$("${GUEST_DIR%/tests/guest}/scripts/service-vm-image" \
        --build "$BATON_BIN_DIR") || fail "no image"
    VM_ACCEL=$(GUEST_MEMORY=512 guest_accel "$VM_IMAGE")
}

# With VM_SERIAL=on a service VM has no network, but one virtio-serial port. What both
# sides know of each other are unix sockets, and control_of and socket_of lead there.
start_serial_bridge() { # NAME HOST
    local bridge=$1-bridge
    # shellcheck disable=SC2004 # an associative array of flow/lib.sh
    LOG_START_[$bridge]=$(($(wc -l <"$(log_of "$bridge")") + 1))
    setsid "$BATON" serial "unix:$T/$1.line" --offer "host.ctl=unix:$T/$2.ctl" \
        --offer "host.nbd=unix:$T/$2.nbd" --reach "ctl=unix:$T/$1.ctl" \
        --reach "nbd=unix:$T/$1.nbd" >>"$(log_of "$1-bridge")" 2>&1 </dev/null &
    SERVICE_PID["$1-bridge"]=$!
}

# What a service VM is to have when it is started the first time: its ports, a disk for
# its records, and the bridge to its control socket.
prepare_service_vm() {
    local name=$1 host=${2-}
    [ -z "${VM_PORTS[$name-nr]-}" ] || return 0
    VM_PORTS[$name-nr]=$((++NR_VMS))
    if [ -n "${VM_SERIAL-}" ]; then
        truncate -s 16M "$T/$name.records"
        mkfs.ext4 -q -F "$T/$name.records"
        touch "$(log_of "$name-bridge")"
        start_serial_bridge "$name" "$host"
        return
    fi
    VM_PORTS[$name-ctl]=$(free_port)
    VM_PORTS[$name-nbd]=$(free_port)
    truncate -s 16M "$T/$name.records"
    mkfs.ext4 -q -F "$T/$name.records"
    setsid ${SERVICE_ENTER[@]+"${SERVICE_ENTER[@]}"} socat "UNIX-LISTEN:$T/$name.ctl,fork" "TCP:127.0.0.1:${VM_PORTS[$name-ctl]}" \
        >/dev/null 2>&1 </dev/null &
    SERVICE_PID["$name-bridge"]=$!
}

# start_service_vm NAME HOST DEVICE DISK-OPTIONS [PEER-VM]: may be called again after the
# end of the VM; its records are on a disk of their own. DEVICE "" starts it without one.
# It is the device "vda", plugged into the bus $VM_BUS: so it can be pulled out. PEER-VM
# is another one that it hands disks to.
start_service_vm() {
    launch_service_vm "$@"
    await_service_vm "$1"
}

# What a service VM has besides disks, also as a domain of libvirt's: VM_APPENDED, of the
# kernel's command line, and VM_WIRES, of QEMU's.
describe_service_vm() {
    local name=$1 host=$2 peer=${4-} announce forward reach address='' serial=''
    prepare_service_vms
    prepare_service_vm "$name" "$host"
    reach=unix:/run/host.ctl=10.0.2.100:7003,unix:/run/host.nbd=10.0.2.100:7004
    if [ -n "${VM_SERIAL-}" ]; then
        serial=baton announce=unix:$T/$name.nbd
        reach=unix:/run/host.ctl=serial:host.ctl,unix:/run/host.nbd=serial:host.nbd
        VM_WIRES=(-device virtio-serial-pci
            -chardev "socket,id=line,path=$T/$name.line,server=on,wait=off"
            -device "virtserialport,chardev=line,name=baton")
    else
        announce=tcp:127.0.0.1:${VM_PORTS[$name-nbd]}
        forward=hostfwd=tcp:127.0.0.1:${VM_PORTS[$name-ctl]}-10.0.2.15:7001
        forward+=,hostfwd=tcp:127.0.0.1:${VM_PORTS[$name-nbd]}-10.0.2.15:7002
        forward+=",guestfwd=tcp:10.0.2.100:7003-cmd:socat - UNIX-CONNECT:$T/$host.ctl"
        forward+=",guestfwd=tcp:10.0.2.100:7004-cmd:socat - UNIX-CONNECT:$T/$host.nbd"
        VM_WIRES=(-netdev "user,id=net,restrict=on,$forward"
            -device "virtio-net-pci,netdev=net,romfile=,addr=0x10")
    fi
    if [ -n "$peer" ]; then
        prepare_service_vm "$peer"
        # A wire between the two, without a connection that could be lost: what goes over
        # the host's processes instead is slow, and waited for.
        address=10.0.3.${VM_PORTS[$name-nr]}
        reach+=",unix:$T/$peer.ctl=10.0.3.${VM_PORTS[$peer-nr]}:7001"
        reach+=",tcp:${VM_PORTS[$peer-nbd]}=10.0.3.${VM_PORTS[$peer-nr]}:7002"
        VM_WIRES+=(-netdev "dgram,id=wire,local.type=unix,local.path=$T/$name.wire,remote.type=unix,remote.path=$T/$peer.wire"
            -device "virtio-net-pci,netdev=wire,romfile=,addr=0x11,mac=52:54:00:12:35:0${VM_PORTS[$name-nr]}")
        rm -f "$T/$name.wire" # of a life before
    fi
    VM_APPENDED="baton_name=$name baton_disk=$3 baton_announce=$announce \
baton_reach=$reach baton_serial=$serial baton_address=$address rcupdate.rcu_expedited=1 ${VM_APPEND-}"
}

launch_service_vm() {
    local name=$1 device=$3
    local -a disk=()
    describe_service_vm "$name" "$2" "$4" "${5-}"
    # No lock on the device's file: the host's service owns it at other times, and
    # records and epochs say when. Guest flushes reach the file, nothing else has to. A
    # trim drops the guest's page cache: unmap, or older contents could show again.
    if [ -n "$device" ]; then
        disk=(-blockdev "driver=file,node-name=disk,filename=$device,locking=${VM_LOCKING:-off},discard=unmap"
            -device "virtio-blk-pci,id=vda,serial=vda,drive=disk,bus=$VM_BUS,share-rw=${VM_SHARE:-on}")
    fi
    touch "$(log_of "$name")"
    # shellcheck disable=SC2004,SC2034 # an associative array of flow/lib.sh
    LOG_START_[$name]=$(($(wc -l <"$(log_of "$name")") + 1))
    # shellcheck disable=SC2086 # VM_MACHINE is words
    GUEST_MEMORY=${VM_MEMORY:-512} GUEST_QEMU_PREFIX=setsid guest_qemu_ "$VM_ACCEL" "$VM_IMAGE" "$VM_APPENDED" \
        $VM_MACHINE \
        -blockdev "driver=file,node-name=records,filename=$T/$name.records" \
        -device virtio-blk-pci,drive=records,serial=records \
        ${disk[@]+"${disk[@]}"} \
        -qmp "unix:$(qmp_of "$name"),server=on,wait=off" \
        "${VM_WIRES[@]}" \
        >>"$(log_of "$name")" 2>&1 </dev/null &
    # shellcheck disable=SC2004
    # shellcheck disable=SC2034 # of tests/flow/lib.sh
    SERVICE_PID[$name]=$!
}
VM_MACHINE=${VM_MACHINE:-"-machine q35 -device pcie-root-port,id=hot0,chassis=1,slot=1"}
VM_BUS=${VM_BUS:-hot0}

await_service_vm() {
    wait_log "$1" 'SERVICE READY' 120 || fail "the service VM does not start"
    wait_answer "$1"
}

# Wait until the service answers at its control socket.
wait_answer() {
    local end=$((SECONDS + 30))
    until BATON_TIMEOUT=5 baton status --at "$(control_of "$1")" --json >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "$1 does not answer"
        pause_ms 50
    done
}
