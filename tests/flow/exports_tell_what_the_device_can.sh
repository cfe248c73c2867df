#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What an export says of itself is what the device is: size, flags, block sizes, and the
# map of holes. A sparse image copied in and out again is equal and as sparse. The devices
# are a qcow2 image behind another NBD server, a loop device (root) and sparse files of
# odd and even sizes in every cache mode. Requests are from 512 bytes to 32 MiB.
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-img qemu-nbd nbdinfo nbdcopy nbdkit jq losetup
SIZE=$((64 << 20))
ODD=1000003

loop=
detach_and_clean() {
    local status=$?
    if [ -n "$loop" ]; then
        for name in "${!SERVICE_PID[@]}"; do # an open loop device cannot be detached
            kill -KILL -- "-${SERVICE_PID[$name]}" 2>/dev/null || true # gone already
        done
        losetup -d "$loop" || note "$loop is left behind"
    fi
    (exit "$status") # cleanup_ looks at it
    cleanup_
}
trap detach_and_clean EXIT

# A sparse image: data at the ends, in the middle and 1 MiB of zeroes that are written.
sparse_image() { # NAME SIZE
    local image
    image=$(new_device "$1" "$2")
    head -c 65536 /dev/urandom | dd of="$image" conv=notrunc status=none
    head -c 65536 /dev/urandom |
        dd of="$image" conv=notrunc status=none oflag=seek_bytes seek=$(($2 / 2 / 4096 * 4096))
    head -c 4096 /dev/urandom |
        dd of="$image" conv=notrunc status=none oflag=seek_bytes seek=$(($2 - 4096))
    echo "$image"
}

info_is() { # WHAT URI FIELD VALUE [FIELD VALUE]...
    local what=$1 json
    json=$(timeout 20 nbdinfo --json "$2" | jq -c '.exports[0]')
    shift 2
    while [ $# -gt 0 ]; do
        eq "$(jq -r ".[\"$1\"]" <<<"$json")" "$2" "$what: $1 ($json)"
        shift 2
    done
}

map() { # nbdinfo's map without what merging of neighbours makes different
    timeout 20 nbdinfo --map --json "$@" | jq -r '.[] | "\(.type) \(.offset) \(.length)"' |
        awk 'NR > 1 && $1 == t && $2 == end { end += $3; next }
            NR > 1 { print t, begin, end } { t = $1; begin = $2; end = $2 + $3 }
            END { print t, begin, end }'
}

# there_and_back WHAT URI SIZE [MOST KiB OF THE COPY]
there_and_back() {
    local image
    image=$(sparse_image "image" "$3")
    timeout 60 nbdcopy --destination-is-zero --flush "$image" "$2" ||
        fail "$1: copying in"
    rm -f "$T/back"
    timeout 60 nbdcopy "$2" "$T/back" || fail "$1: copying out"
    cmp "$image" "$T/back" || fail "$1: what comes back is not what was written"
    [ "$(du -k "$T/back" | cut -f1)" -le "${4-400}" ] ||
        fail "$1: the copy has $(du -k "$T/back" | cut -f1) KiB: holes were not kept"
}

can='is_read_only false can_flush true can_fua true can_multi_conn true can_trim true'
can+=' can_zero true can_fast_zero true can_cache true is_rotational false'

## Sparse files

one=(block_size_minimum 1 block_size_preferred 4096 block_size_maximum 67108864)
plain=$(new_device plain $SIZE)
odd=$(new_device odd $ODD)
through=$(new_device through $SIZE)
direct=$(new_device direct $SIZE)
start_service a --disk "name=plain,device=$plain" --disk "name=odd,device=$odd" \
    --disk "name=through,device=$through,cache=writethrough" \
    --disk "name=direct,device=$direct,cache=none"
# shellcheck disable=SC2086 # words
{
    info_is plain "$(uri_of a plain)" export-size $SIZE $can "${one[@]}"
    info_is odd "$(uri_of a odd)" export-size $ODD $can "${one[@]}"
    info_is through "$(uri_of a through)" export-size $SIZE $can "${one[@]}"
    info_is direct "$(uri_of a direct)" export-size $SIZE ${can/can_cache true/can_cache false}
}
for disk in plain through direct; do
    there_and_back $disk "$(uri_of a $disk)" $SIZE
    [ "$(du -k "$T/$disk.img" | cut -f1)" -le 400 ] || fail "$disk: the device is not sparse"
    eq "$(map "$(uri_of a $disk)")" "$(map [ nbdkit file "$T/$disk.img" ])" \
        "map of $disk"
done
there_and_back odd "$(uri_of a odd)" $ODD
io "$(uri_of a odd)" "write -P 7 $((ODD - 3)) 3" "read -P 7 $((ODD - 3)) 3"
for disk in plain through direct; do
    io "$(uri_of a $disk)" "write -P 5 0 32M" "read -P 5 0 32M" "write -P 6 512 512" \
        "read -P 6 512 512" "read -P 5 0 512" "read -P 5 1024 512" \
        "write -z 16M 16M" "read -P 0 16M 16M" "discard 0 16M" "read -P 0 16M 16M"
done

## Read-only

stop_service a
image=$(sparse_image ro $SIZE)
start_service ro --disk "name=ro,device=$image,readonly=on"
info_is ro "$(uri_of ro ro)" export-size $SIZE is_read_only true can_trim false \
    can_zero false can_multi_conn true
timeout 60 nbdcopy "$(uri_of ro ro)" "$T/out" || fail "copying from a read-only disk"
cmp "$image" "$T/out" || fail "the copy of a read-only disk differs"
if timeout 20 nbdcopy "$image" "$(uri_of ro ro)" 2>/dev/null; then
    fail "a read-only disk was written"
fi
stop_service ro

## A qcow2 image behind another NBD server

qemu-img create -q -f qcow2 "$T/image.qcow2" $SIZE
qemu-nbd -f qcow2 -t -e 16 -k "$T/q.nbd" -x q --discard=unmap --fork \
    --pid-file="$T/q.pid" "$T/image.qcow2" || fail "qemu-nbd does not start"
SERVICE_PID[qemu-nbd]=$(cat "$T/q.pid") # it has made itself leader of a session
device="nbd+unix:///q?socket=$T/q.nbd"
theirs=$(timeout 20 nbdinfo --json "$device" | jq -c '.exports[0]')
start_service n --disk "name=q,device=$device"
info_is qcow2 "$(uri_of n q)" export-size $SIZE is_read_only false can_flush true \
    can_fua true can_trim true can_zero true \
    can_fast_zero "$(jq -r .can_fast_zero <<<"$theirs")" \
    can_multi_conn "$(jq -r .can_multi_conn <<<"$theirs")" \
    block_size_minimum "$(jq -r .block_size_minimum <<<"$theirs")"
there_and_back qcow2 "$(uri_of n q)" $SIZE
eq "$(map "$(uri_of n q)")" "$(map "$device")" "map of qcow2"
[ "$(du -k "$T/image.qcow2" | cut -f1)" -le 1000 ] || fail "the qcow2 image is not sparse"
io "$(uri_of n q)" "write -P 5 0 32M" "read -P 5 0 32M" "write -P 6 512 512" \
    "read -P 6 512 512" "read -P 5 1024 512"
stop_service n
kill -TERM "${SERVICE_PID[qemu-nbd]}"
wait_end "${SERVICE_PID[qemu-nbd]}" 20 || fail "qemu-nbd does not end"
unset "SERVICE_PID[qemu-nbd]"
qemu-img check -q "$T/image.qcow2" || fail "the qcow2 image is damaged"

## A loop device

if [ "$(id -u)" -ne 0 ] || ! loop=$(losetup --find --show "$(new_device under $SIZE)" 2>&1); then
    note "SKIPPED: the loop device (${loop:-root is needed})"
    loop=
    exit 0
fi
start_service l --disk "name=l,device=$loop"
# shellcheck disable=SC2086 # words
info_is loop "$(uri_of l l)" export-size $SIZE \
    ${can/is_rotational false/is_rotational $(lsblk -ndo ROTA "$loop" |
        sed 's/.*0/false/; s/.*1/true/')}
there_and_back loop "$(uri_of l l)" $SIZE
[ "$(du -k "$T/under.img" | cut -f1)" -le 400 ] || fail "under the loop device: not sparse"
io "$(uri_of l l)" "write -P 5 0 32M" "read -P 5 0 32M" "write -P 6 512 512" \
    "read -P 6 512 512" "read -P 5 1024 512" "write -z 16M 16M" "read -P 0 16M 16M"
stop_service l
start_service m --disk "name=l,device=$loop,cache=none"
info_is "loop, cache=none" "$(uri_of m l)" block_size_minimum \
    "$(blockdev --getss "$loop")" can_cache false
io "$(uri_of m l)" "read -P 6 512 512" "write -P 8 32M 32M" "read -P 8 32M 32M"
stop_service m
