#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The next owner dies after PREPARE. The owner sees that before it commits: the handoff is
# aborted and requests go on here, instead of being held until the other one is back. One
# that is back already, perhaps with another device, is not the one that was asked.
. "$(dirname "$0")/lib.sh"
need jq qemu-io
need_breakpoints
device=$(new_device vda 16M)
start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
handoff_until a owner-flushed
io "$(uri_of a vda)" "write -P 5 0 4k" &
held=$!
kill_service b
break_go a owner-flushed
await_refusal
contains "$(cat "$T/why")" "b answered before and is gone now"
contains "$(cat "$T/why")" "nothing changed: vda is still served by a"
wait "$held" || fail "the write that was held failed"
eq "$(status_of a vda '| .role, .epoch' | xargs)" "owner 1" "a"
io "$(uri_of a vda)" "read -P 5 0 4k"
ledger_balances a vda

note "it died and is back, with another device"
start_service b --disk "name=vda,device=$device,role=standby"
break_clear a
handoff_until a owner-prepared
kill_service b
start_service b --disk "name=vda,device=$(new_device other 16M),role=standby"
break_go a owner-prepared
await_refusal
contains "$(cat "$T/why")" "b answered before and is gone now"
eq "$(status_of a vda '| .role, .epoch' | xargs)" "owner 1" "a"
io "$(uri_of a vda)" "read -P 5 0 4k"
stop_service a
stop_service b
