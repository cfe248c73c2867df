#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Requests that do not end at the device make the handoff give up at its deadline, and it
# says on what it waited; the writer notices nothing, and a patient handoff succeeds.
. "$(dirname "$0")/lib.sh"
need qemu-io jq nbdkit script
start_gated_device slow 64M
device=$(device_uri slow)
start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
io "$(uri_of a vda)" "aio_write -P 1 0 4k" "aio_write -P 2 4k 4k" "aio_write -P 3 8k 4k" \
    aio_flush &
writer=$!
wait_arrivals 3

waiting="vda: 3 requests have not ended at $device"
fails_with 1 "drain: $waiting" -- handoff vda a b --deadline 300ms
fails_with 1 'nothing changed: vda is still served by a' -- handoff vda a b --deadline 300ms
eq "$(status_of a vda .role) $(status_of a vda .epoch)" "owner 1" "role and epoch"
eq "$(status_of b vda .role)" standby "role of b"
kill -0 "$writer" || fail "the writer has ended"

# What a person at a terminal sees meanwhile.
seen=$(script -qec "'$BATON' handoff vda --from '$(control_of a)' --to '$(control_of b)' \
    --deadline 900ms" /dev/null </dev/null) && fail "the handoff went on"
contains "$seen" $'\r\e[Kvda: drain (' progress
contains "$seen" 'ms), vda: 3 requests have not ended at' progress

handoff vda a b --deadline 30s >"$T/report" &
mover=$!
open_gate slow
wait "$writer" || fail "the writer saw an error"
wait "$mover" || fail "the patient handoff failed"
eq "$(jq -r .outcome "$T/report")" "done" outcome
eq "$(status_of b vda .role) $(status_of b vda .epoch)" "owner 2" "b in the end"
io "$(uri_of a vda)" "read -P 1 0 4k" "read -P 2 4k 4k" "read -P 3 8k 4k"
ledger_balances a vda
