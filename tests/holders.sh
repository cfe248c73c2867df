# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# holders.sh - programs that open a disk for writing, one at a time. After flow/lib.sh:
#     hold PROGRAM DEVICE   it has the device open when this returns
#     try PROGRAM DEVICE    can it open the device? Says what it says; leaves nothing
#                           running
#     release               end what hold started
# PROGRAM: baton qemu qsd qemu-nbd qemu-img nbdkit

title() {
    case $1 in
    qemu) echo "QEMU virtio-blk" ;;
    qsd) echo "qemu-storage-daemon" ;;
    *) echo "$1" ;;
    esac
}

HOLDERS=()     # pids
HOLDER_NAME='' # of our service
HOLDER_NR=0

# daemon_ PROGRAM DEVICE NAME: returns when it has the device open, and writes its pid to
# $T/NAME.pid; or fails and says why.
daemon_() {
    local driver=file
    if [ -b "$2" ]; then
        driver=host_device
    fi
    case $1 in
    qemu)
        qemu-system-x86_64 -accel tcg -machine q35 -m 64 -S -display none -nodefaults \
            -serial none -monitor none -daemonize -pidfile "$T/$3.pid" \
            -drive "file=$2,format=raw,if=none,id=d" -device virtio-blk-pci,drive=d
        ;;
    qsd)
        qemu-storage-daemon --blockdev "driver=$driver,filename=$2,node-name=n" \
            --nbd-server "addr.type=unix,addr.path=$T/$3.sock" \
            --export type=nbd,id=e,node-name=n,name=vda,writable=on \
            --daemonize --pidfile "$T/$3.pid"
        ;;
    qemu-nbd)
        qemu-nbd -f raw -k "$T/$3.sock" -t --fork --pid-file="$T/$3.pid" "$2"
        ;;
    nbdkit)
        nbdkit -U "$T/$3.sock" -P "$T/$3.pid" file "$2" &&
            await_file "$T/$3.pid"
        ;;
    esac </dev/null
}

hold() {
    HOLDER_NR=$((HOLDER_NR + 1))
    case $1 in
    baton)
        HOLDER_NAME=first$HOLDER_NR
        start_service "$HOLDER_NAME" --disk "name=vda,device=$2"
        ;;
    qemu-img)
        hold_by_qemu_img_ "$2"
        ;;
    *)
        daemon_ "$1" "$2" "first$HOLDER_NR" >"$T/holder.log" 2>&1 ||
            fail "$1 does not start: $(cat "$T/holder.log")"
        HOLDERS+=("$(cat "$T/first$HOLDER_NR.pid")")
        ;;
    esac
}

# qemu-img has a disk open only while it works: here it copies from a server whose first
# read waits.
hold_by_qemu_img_() {
    local name=source$HOLDER_NR
    mkfifo "$T/$name.gate"
    nbdkit -U "$T/$name.sock" -P "$T/$name.pid" eval get_size='echo 1048576' \
        pread="echo >'$T/$name.read'; : <'$T/$name.gate'; exit 1" </dev/null
    await_file "$T/$name.pid" # nbdkit writes it when it is in the background already
    qemu-img convert -n -f raw -O raw "nbd+unix:///?socket=$T/$name.sock" "$1" \
        >"$T/holder.log" 2>&1 </dev/null &
    HOLDERS+=("$!" "$(cat "$T/$name.pid")")
    await_file "$T/$name.read"
}

release() {
    if [ -n "$HOLDER_NAME" ]; then
        stop_service "$HOLDER_NAME"
    fi
    kill_holders_
    HOLDERS=() HOLDER_NAME=''
}

kill_holders_() {
    local pid gate open
    for pid in ${HOLDERS[@]+"${HOLDERS[@]}"}; do
        kill -KILL "$pid" 2>/dev/null || true # it may have ended
        wait_end "$pid" 10
        wait "$pid" 2>/dev/null || true # a child of ours, or not
    done
    for gate in "$T"/source*.gate; do # the script that waits there is nobody's child now
        [ ! -p "$gate" ] || { exec {open}<>"$gate" && exec {open}>&-; }
    done
}
at_exit kill_holders_

try() {
    local pid status=0
    HOLDER_NR=$((HOLDER_NR + 1))
    case $1 in
    baton)
        try_baton_ "$2" || return 1
        ;;
    qemu-img) # one write
        qemu-img bench -w -c 1 -s 4096 -f raw "$2" >/dev/null
        ;;
    *)
        daemon_ "$1" "$2" "second$HOLDER_NR" >"$T/try.log" 2>&1 || status=$?
        cat "$T/try.log" >&2
        [ "$status" = 0 ] || return 1
        pid=$(cat "$T/second$HOLDER_NR.pid")
        kill -KILL "$pid"
        wait_end "$pid" 10
        ;;
    esac
}

try_baton_() {
    local name=second$HOLDER_NR pid
    launch_service "$name" --disk "name=vda,device=$1"
    pid=${SERVICE_PID[$name]}
    if wait_log "$name" "baton: $name: ready"; then
        kill_service "$name"
        return 0
    fi
    wait_end "$pid" 10
    cat "$(log_of "$name")" >&2
    return 1
}
