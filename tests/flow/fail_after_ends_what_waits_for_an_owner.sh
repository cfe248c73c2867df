#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A client's fail-after counts all of the time that a request waits, also in a channel
# whose owner is away or hangs. What was failed is not performed after a newer write,
# though the owner that hung finds it in its socket when it goes on.
# ctest: RUN_SERIAL TRUE
. "$(dirname "$0")/lib.sh"
need qemu-io jq
device=$(new_device vda 64M)
start_service owner --disk "name=vda,device=$device,role=standby"
start_service client --disk "name=vda,device=$device,fail-after=1s"
io "$(uri_of client vda)" "write -P 1 0 4k"
handoff vda client owner >/dev/null

# It hangs: the request is in its socket. The write fails, in about its time.
for round in 1 2 3; do
    io "$(uri_of client vda)" "read -P 1 0 4k"
    stop_short owner
    began=$SECONDS
    fails_with 1 'Input/output error' -- \
        timeout 30 qemu-io -f raw -c "write -P 2 0 4k" "$(uri_of client vda)"
    [ $((SECONDS - began)) -lt 10 ] || fail "round $round: the write waits too long"
    kill -CONT "${SERVICE_PID[owner]}"
    io "$(uri_of client vda)" "write -P 3 0 4k" "read -P 3 0 4k" \
        "read -P 3 0 4k" "write -P 1 0 4k"
done
# The write, and the flush of qemu-io when it ends.
eq "$(status_of client vda .ledger.failed)" 6 "failed requests"

# It is away: nothing was sent, and nothing is when it comes back.
kill_service owner
fails_with 1 'Input/output error' -- \
    timeout 30 qemu-io -f raw -c "write -P 2 0 4k" "$(uri_of client vda)"
start_service owner --disk "name=vda,device=$device"
io "$(uri_of client vda)" "read -P 1 0 4k"
eq "$(status_of client vda .ledger.failed)" 8 "failed requests"
ledger_balances client vda
handoff vda owner client >/dev/null
io "$(uri_of client vda)" "read -P 1 0 4k"
