#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ctest: TIMEOUT 300
# A real guest writes and verifies files while its disk goes to and fro; it sees no error.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../guest/lib.sh"
PATH=$PATH:/sbin:/usr/sbin
need qemu-system-x86_64 busybox cpio modprobe mkfs.ext4 e2fsck jq
guest_kernel >/dev/null 2>&1 || skip "no kernel of linux-image-cloud-amd64 in /boot"
at_exit guest_kill

device=$(new_device disk 256M)
mkfs.ext4 -q -F "$device"
start_service a --disk "name=D,device=$device"
start_service b --disk "name=D,device=$device,role=standby"
guest_build "$T"
guest_start "$T" "$(guest_accel "$T")" "$(socket_of a)" D
guest_wait '^GUEST READY' 120 || fail "the guest does not start"

from=a to=b round=0
for _ in 1 2 3 4; do
    round=$((round + 4))
    guest_wait "^round $round |^ERROR" 60 || fail "the guest does not go on"
    eq "$(handoff D "$from" "$to" | jq -r .outcome)" "done" "outcome of the handoff"
    read -r from to <<<"$to $from"
done
guest_wait "^round $((round + 4)) |^ERROR" 60 || fail "the guest does not go on"
guest_stop 120 || fail "the guest met an error"
ledger_balances a D
ledger_balances b D
eq "$(status_of a D .ledger.failed)" 0 "failed requests"
stop_service a
stop_service b
e2fsck -fn "$device" >"$T/fsck.log" 2>&1 || fail "the file system is damaged"
