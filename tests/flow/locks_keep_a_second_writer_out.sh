#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Baton's row and column of docs/locks.md: whoever comes second is refused, and when
# that is Baton it names the program and pid of the first.
# ctest: LABELS flow;short
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../holders.sh"
need qemu-system-x86_64 qemu-storage-daemon qemu-nbd qemu-img nbdkit
device=$(new_device disk 16M)
programs=(baton qemu qsd qemu-nbd qemu-img)
declare -A says=([qemu]='Failed to get "write" lock' [qsd]='Failed to get "write" lock'
    [qemu-nbd]='Failed to get "write" lock' [qemu-img]='Failed to get "write" lock')

# refused SECOND FRAGMENT: SECOND cannot open the device, and says FRAGMENT
refused() {
    local said
    if said=$(try "$1" "$device" 2>&1); then
        fail "$(title "$1") writes to a disk that is in use"
    fi
    contains "$said" "$2" "what $(title "$1") says"
}

hold baton "$device"
says[baton]="it is in use by nbdkit (pid ${SERVICE_PID[$HOLDER_NAME]})"
for second in "${programs[@]}"; do
    refused "$second" "${says[$second]}"
done
release
for first in qemu qsd qemu-nbd qemu-img; do
    hold "$first" "$device"
    name=$(readlink "/proc/${HOLDERS[0]}/exe")
    refused baton "it is in use by ${name##*/} (pid ${HOLDERS[0]}), which holds a"
    release
done
hold baton "$device" # nobody is left
release
