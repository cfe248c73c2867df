# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# service_vm.sh - for tests, after flow/lib.sh and guest/lib.sh: a service in a VM of its
# own, with a disk whose file is the host's. To the host it looks as other services do:
# control_of NAME is its control socket (a bridge), and its channel is announced as a
# TCP port of the host's loopback. The host's service HOST is unix:/run/host.ctl to it,
# and announces unix:/run/host.nbd.

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

# start_service_vm NAME HOST DEVICE DISK-OPTIONS: may be called again after the end of
# the VM; its records are on a disk of their own.
start_service_vm() {
    local name=$1 host=$2 device=$3 forward
    if [ -z "${VM_IMAGE-}" ]; then
        VM_IMAGE=$("$(dirname "$0")/../../scripts/service-vm-image" \
            --build "$BATON_BIN_DIR") || fail "no image"
        VM_ACCEL=$(GUEST_MEMORY=512 guest_accel "$VM_IMAGE")
        VM_PORTS=("$(free_port)" "$(free_port)")
    fi
    if [ ! -e "$T/$name.records" ]; then
        truncate -s 16M "$T/$name.records"
        mkfs.ext4 -q -F "$T/$name.records"
    fi
    forward=hostfwd=tcp:127.0.0.1:${VM_PORTS[0]}-10.0.2.15:7001
    forward+=,hostfwd=tcp:127.0.0.1:${VM_PORTS[1]}-10.0.2.15:7002
    forward+=",guestfwd=tcp:10.0.2.100:7003-cmd:socat - UNIX-CONNECT:$T/$host.ctl"
    forward+=",guestfwd=tcp:10.0.2.100:7004-cmd:socat - UNIX-CONNECT:$T/$host.nbd"
    touch "$(log_of "$name")"
    # shellcheck disable=SC2004,SC2034 # an associative array of flow/lib.sh
    LOG_START_[$name]=$(($(wc -l <"$(log_of "$name")") + 1))
    # No lock on the device's file: the host's service owns it at other times, and
    # records and epochs say when. Guest flushes reach the file, nothing else has to. A
    # trim drops the guest's page cache: unmap, or older contents could show again.
    GUEST_MEMORY=512 GUEST_QEMU_PREFIX=setsid guest_qemu_ "$VM_ACCEL" "$VM_IMAGE" "baton_name=$name \
baton_disk=$4 baton_announce=tcp:127.0.0.1:${VM_PORTS[1]}" \
        -blockdev "driver=file,node-name=disk,filename=$device,locking=off,discard=unmap" \
        -device virtio-blk-pci,drive=disk,share-rw=on \
        -blockdev "driver=file,node-name=records,filename=$T/$name.records" \
        -device virtio-blk-pci,drive=records \
        -netdev "user,id=net,restrict=on,$forward" -device virtio-net-pci,netdev=net,romfile= \
        >>"$(log_of "$name")" 2>&1 </dev/null &
    # shellcheck disable=SC2004
    SERVICE_PID[$name]=$!
    if [ -z "${SERVICE_PID[$name-bridge]-}" ]; then
        setsid socat "UNIX-LISTEN:$T/$name.ctl,fork" "TCP:127.0.0.1:${VM_PORTS[0]}" \
            >/dev/null 2>&1 </dev/null &
        SERVICE_PID["$name-bridge"]=$!
    fi
    wait_log "$name" 'SERVICE READY' 120 || fail "the service VM does not start"
    wait_answer "$name"
}

# Wait until the service answers at its control socket.
wait_answer() {
    local end=$((SECONDS + 30))
    until BATON_TIMEOUT=5 baton status --at "$(control_of "$1")" --json >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "$1 does not answer"
        pause 50
    done
}
