#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# nbdkit before 1.34 ends with an assertion when a client hangs up while several replies
# to it are on their way; "baton serve" preloads a guard. Without it this test fails
# within a few rounds.
# ctest: LABELS flow;short
. "$(dirname "$0")/lib.sh"
need fio jq qemu-io
start_service a --disk "name=vda,device=$(new_device vda 64M)"
cd "$T" # fio leaves files where it runs
for round in $(seq 15); do
    before=$(status_of a vda .ledger.accepted)
    fio --name=x --thread --ioengine=nbd --uri="$(uri_of a vda)" --rw=randrw --bs=4k \
        --iodepth=32 --size=64M --time_based --runtime=60 >/dev/null 2>&1 &
    client=$!
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout 20 bash -c 'until [ "$("$0" status vda --at "$1" --json |
        jq -r .disks[0].ledger.accepted)" -gt "$2" ]; do :; done' \
        "$BATON" "$(control_of a)" $((before + 300)) || fail "round $round: no load"
    kill -KILL "$client"
    wait "$client" 2>/dev/null || true # 137
    kill -0 "${SERVICE_PID[a]}" 2>/dev/null || fail "round $round: the service is gone"
done
io "$(uri_of a vda)" "write -P 5 0 4k" "read -P 5 0 4k"
eq "$(status_of a vda .ledger.failed)" 0 "failed requests"
