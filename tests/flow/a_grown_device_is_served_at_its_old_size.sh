#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A device that was made larger is no other device: the disk keeps the size that its VM
# knows, status and log say what the device has, and handoffs, parking, restarts and a next
# owner that was restarted before it was told go on.
. "$(dirname "$0")/lib.sh"
need qemu-io jq
need_breakpoints
device=$(new_device vda 16M)
a=(--disk "name=vda,device=$device")
b=(--disk "name=vda,device=$device,role=standby")
start_service a "${a[@]}"
start_service b "${b[@]}"
io "$(uri_of a vda)" "write -P 1 0 64k" "write -P 2 16320k 64k"
stop_service a
truncate -s 32M "$device"
start_service a "${a[@]}"
wait_log a "vda: its device has grown to 33554432 bytes; the disk stays at 16777216" ||
    fail "the log does not say that it has grown"
eq "$(status_of a vda .size) $(status_of a vda .device_size)" "16777216 33554432" "sizes"
contains "$(baton status --at "$(control_of a)")" "vda: its device has grown to 32M" "status"
io "$(uri_of a vda)" "read -P 1 0 64k" "read -P 2 16320k 64k"

# b has never had it, and forgets before it is told what PREPARE said.
break_at a owner-committed wait
start_command handoff vda --from "$(control_of a)" --to "$(control_of b)"
await_hit a owner-committed
kill_service b
start_service b "${b[@]}"
break_go a owner-committed
wait "$COMMAND_PID" || fail "the handoff failed: $(cat "$T/command.err")"
eq "$(status_of b vda .role) $(status_of b vda .size)" "owner 16777216" "b"
io "$(uri_of b vda)" "read -P 2 16320k 64k"
break_clear a

truncate -s 48M "$device" # while it is served
handoff vda b a >/dev/null
eq "$(status_of a vda .size) $(status_of a vda .device_size)" "16777216 50331648" "sizes"
truncate -s 64M "$device"
baton park vda --at "$(control_of a)" >/dev/null
baton unpark vda --at "$(control_of a)" >/dev/null
io "$(uri_of a vda)" "read -P 1 0 64k" "read -P 2 16320k 64k"
! io "$(uri_of a vda)" "write 16M 4k" 2>/dev/null || fail "the disk has grown"
