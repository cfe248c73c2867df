#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A service that is stopped and started again under QEMU's client (reconnect-delay) is a
# pause: QEMU gets no error, because requests that cannot be answered are not answered.
# ctest: LABELS flow;short
. "$(dirname "$0")/lib.sh"
need fio qemu-storage-daemon jq
device=$(new_device vda 64M)
start_service a --disk "name=vda,device=$device"
start_qemu_client a
cd "$T" # fio leaves files where it runs
fio --name=x --ioengine=nbd --uri="$QEMU_URI" --rw=randwrite \
    --bs=4k --iodepth=16 --size=64M --verify=crc32c --verify_backlog=64 --verify_fatal=1 \
    --time_based --runtime=8 >"$T/fio.out" 2>&1 &
load=$!
for round in 1 2; do
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout 20 bash -c 'until [ "$("$0" status vda --at "$1" --json |
        jq -r .disks[0].ledger.accepted)" -gt 300 ]; do :; done' \
        "$BATON" "$(control_of a)" || fail "round $round: no load"
    stop_service a
    start_service a --disk "name=vda,device=$device"
done
wait "$load" || fail "the client saw an error: $(tail -n 5 "$T/fio.out")"
eq "$(status_of a vda .ledger.failed)" 0 "failed requests"
