#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What was written before, between and after handoffs is read back through both services,
# and the roles and epochs are what they have to be.
# ctest: LABELS flow;short
. "$(dirname "$0")/lib.sh"
need qemu-io jq
device=$(new_device vda 64M)
start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
io "$(uri_of a vda)" "write -P 1 0 1M"
report=$(handoff vda a b)
eq "$(jq -r .outcome <<<"$report")" "done" outcome
eq "$(jq -r .epoch <<<"$report")" 2 epoch
eq "$(status_of a vda .role) $(status_of b vda .role)" "given owner" roles
eq "$(status_of a vda .owner)" b owner
io "$(uri_of a vda)" "read -P 1 0 1M" "write -P 2 64k 64k"
io "$(uri_of b vda)" "read -P 1 0 64k" "read -P 2 64k 64k" "write -P 3 512 512"
handoff vda b a >/dev/null
eq "$(status_of a vda .role) $(status_of b vda .role)" "owner given" roles
io "$(uri_of a vda)" "read -P 3 512 512" "read -P 2 64k 64k" "read -P 1 128k 64k"
io "$(uri_of b vda)" "read -P 3 512 512"
ledger_balances a vda
ledger_balances b vda
