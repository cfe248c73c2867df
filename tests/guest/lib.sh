# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# lib.sh - builds and runs the guest of ./init: a real kernel and QEMU with one virtio
# disk over NBD. For scripts/demo and flow tests; needs qemu-system-x86_64, busybox
# (static), cpio, modprobe and a kernel of linux-image-cloud-amd64.
GUEST_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
GUEST_QEMU='qemu-system-x86_64'

# The newest cloud kernel whose modules are there; prints its version.
guest_kernel() {
    local image version newest=''
    while read -r image; do
        version=${image#/boot/vmlinuz-}
        if [ -d "/lib/modules/$version" ]; then
            newest=$version
        fi
    done < <(compgen -G '/boot/vmlinuz-*-cloud-amd64' | sort -V)
    if [ -z "$newest" ]; then
        echo "no kernel of linux-image-cloud-amd64 in /boot" >&2
        return 1
    fi
    echo "$newest"
}

# guest_modules KERNEL ROOT MODULE...: copies modules and what they need to ROOT/modules,
# and their order to ROOT/modules/order.
guest_modules() {
    local kernel=$1 root=$2 file name module
    shift 2
    mkdir -p "$root/modules"
    : >"$root/modules/order"
    for module in "$@"; do
        # What is built into the kernel is listed as "builtin" and needs nothing.
        while read -r file; do
            name=$(basename "$file")
            name=${name%.xz}
            if grep -qxF "$name" "$root/modules/order"; then
                continue # another module needed it too
            fi
            case "$file" in
            *.xz) xz -dc "$file" >"$root/modules/$name" ;;
            *) cp "$file" "$root/modules/$name" ;;
            esac
            echo "$name" >>"$root/modules/order"
        done < <(PATH=$PATH:/sbin:/usr/sbin modprobe -S "$kernel" --show-depends \
            "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p')
    done
}

# guest_pack KERNEL ROOT DIR COMPRESSOR...: makes DIR/guest.gz of ROOT, which goes away,
# and DIR/kernel.
guest_pack() {
    (cd "$2" && find . | cpio -o -H newc --quiet | "${@:4}") >"$3/guest.gz"
    rm -r "$2"
    ln -sf "/boot/vmlinuz-$1" "$3/kernel"
}

# guest_build DIR: makes DIR/guest.gz (the initramfs) and DIR/kernel.
guest_build() {
    local dir=$1 kernel root
    kernel=$(guest_kernel) || return
    root=$dir/guest.root
    mkdir -p "$root/bin"
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$GUEST_DIR/init" "$root/init"
    guest_modules "$kernel" "$root" virtio_pci virtio_blk ext4 crc32c_generic
    guest_pack "$kernel" "$root" "$dir" gzip -1
}

guest_qemu_() { # ACCELERATOR DIR KERNEL-ARGUMENTS QEMU-OPTIONS...
    local accel=$1 dir=$2 append=$3
    shift 3
    # shellcheck disable=SC2086 # none, or a word
    exec ${GUEST_QEMU_PREFIX-} "$GUEST_QEMU" -accel "$accel" -m "${GUEST_MEMORY:-256}" -nodefaults -display none -no-reboot \
        -serial stdio -kernel "$dir/kernel" -initrd "$dir/guest.gz" \
        -append "console=ttyS0 panic=-1 quiet no_timer_check $append" "$@"
}

# guest_accel DIR: prints kvm if a guest boots under it, else tcg. KVM may be there and
# still not run a guest (some nested set-ups hang), so it is tried: once for all tests of
# a build, for as long as machine, QEMU and the guest's kernel are the same.
guest_accel() {
    local answer known="${BATON_BIN_DIR-}/guest.accel" asked
    if [ -z "${BATON_BIN_DIR-}" ]; then
        guest_accel_tried_ "$1"
        return
    fi
    asked="$(cat /proc/sys/kernel/random/boot_id) $(id -u) $(readlink "$1/kernel")"
    asked+=" $("$GUEST_QEMU" --version | sed -n 1p)"
    {
        flock 9 # another test tries just now
        if [ "$(sed -n 1p "$known" 2>/dev/null)" != "$asked" ]; then
            answer=$(guest_accel_tried_ "$1" 9>&-)
            printf '%s\n%s\n' "$asked" "$answer" >"$known"
        fi
    } 9>"$known.lock"
    sed -n 2p "$known"
}

guest_accel_tried_() {
    if [ -w /dev/kvm ] &&
        (guest_qemu_ kvm "$1" probe-only </dev/null 2>&1 &
            qemu=$!
            trap 'kill -KILL "$qemu" 2>/dev/null' EXIT
            timeout 8 tail -s 0.1 --pid="$qemu" -f /dev/null) |
        grep -q 'GUEST BOOTED'; then
        echo kvm
    else
        echo tcg
    fi
}

# guest_start DIR ACCELERATOR SOCKET EXPORT: starts the guest on an NBD export. Its
# console is DIR/console.log; GUEST_PID is set; guest_say writes to its console.
guest_start() {
    mkfifo "$1/console.in"
    exec {GUEST_INPUT}<>"$1/console.in"
    : >"$1/console.log"
    # reconnect-delay: a service that restarts is a pause to the guest, not an error.
    guest_qemu_ "$2" "$1" '' \
        -blockdev "driver=nbd,node-name=disk,server.type=unix,server.path=$3,export=$4,reconnect-delay=60" \
        -device virtio-blk-pci,drive=disk \
        <"$1/console.in" >"$1/console.log" 2>"$1/qemu.log" &
    GUEST_PID=$!
    GUEST_CONSOLE=$1/console.log
}

guest_say() {
    printf '%s\n' "$*" >&"$GUEST_INPUT"
}

# guest_wait REGEX SECONDS: waits for a line on the console. Status 1 when QEMU ends or
# the time is over before.
guest_wait() {
    local from tailer status=0
    exec {from}< <(exec timeout "$2" tail -s 0.1 -n +1 --pid="$GUEST_PID" \
        -f "$GUEST_CONSOLE" 2>/dev/null)
    tailer=$!
    grep -q -m 1 -E -- "$1" <&"$from" || status=1
    kill "$tailer" 2>/dev/null || true # it has ended if QEMU has
    exec {from}<&-
    return "$status"
}

# The number of files that the guest has written so far, all verified since.
guest_files() {
    tr -d '\r' <"$GUEST_CONSOLE" | sed -n 's/^round [0-9]* files \([0-9]*\) ok$/\1/p' |
        tail -n 1
}

# guest_stop SECONDS: asks the guest to verify everything and to power off; prints its
# last word. Status 0 only for "GUEST OK".
guest_stop() {
    guest_say stop
    guest_wait '^GUEST (OK|FAILED)' "$1" || true # what is missing is found below
    if ! timeout 20 tail -s 0.1 --pid="$GUEST_PID" -f /dev/null; then
        kill -KILL "$GUEST_PID"
    fi
    wait "$GUEST_PID" || true # the console says how it went
    GUEST_PID=''
    tr -d '\r' <"$GUEST_CONSOLE" | grep -E '^ERROR' | head -n 20
    tr -d '\r' <"$GUEST_CONSOLE" | grep -E '^GUEST (OK|FAILED)'
    tr -d '\r' <"$GUEST_CONSOLE" | grep -q '^GUEST OK .* errors=0$'
}

# For a trap: ends a guest that still runs.
guest_kill() {
    if [ -n "${GUEST_PID-}" ]; then
        kill -KILL "$GUEST_PID" 2>/dev/null || true # it may have ended by itself
        wait "$GUEST_PID" 2>/dev/null || true
    fi
}
