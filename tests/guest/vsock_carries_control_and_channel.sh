#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two services whose control and channel go over vsock: in a guest, whose kernel has a
# loopback of vsock. What happens there is in ./vsock_init.
# ctest: TIMEOUT 300
. "$(dirname "$0")/../flow/lib.sh"
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 busybox cpio modprobe nbdkit socat
guest_kernel >/dev/null 2>&1 || skip "no kernel of linux-image-cloud-amd64 in /boot"

image=$("${GUEST_DIR%/tests/guest}/scripts/service-vm-image" --build "$BATON_BIN_DIR" \
    --init "$GUEST_DIR/vsock_init" --with "$BATON_TOOLS_DIR/stampcheck" --out "$T") ||
    fail "no image"
accel=$(GUEST_MEMORY=512 guest_accel "$image")
GUEST_MEMORY=512 GUEST_QEMU_PREFIX=setsid guest_qemu_ "$accel" "$image" '' \
    >"$T/guest.log" 2>&1 </dev/null &
SERVICE_PID[guest]=$!
LOG_START_[guest]=1
wait_log guest '^VSOCK ' 240 || fail "the guest does not come to an end"
tr -d '\r' <"$T/guest.log" | grep -E '^VSOCK OK handoffs=4$' || fail "see its log"
tr -d '\r' <"$T/guest.log" | grep -A 3 '==>' || true # what the loads have done
