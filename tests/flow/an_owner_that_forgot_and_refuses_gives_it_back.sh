#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The next owner serves, tells so, and dies before its record is durable. It comes back
# knowing nothing, cannot open its device any more, and refuses: the disk, which follows it
# already, is taken back and nothing is lost.
. "$(dirname "$0")/lib.sh"
need jq qemu-io socat
need_breakpoints
device=$(new_device vda 16M)
start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
handoff_until b next-serving
io "$(uri_of a vda)" "write -P 5 0 4k" # at b, before its record says so
eq "$(baton status vda --at "$(control_of a)" --json | jq -r '.disks[0].handoff')" replay "phase"
# Nobody else is told yet: who believed it would go on looking for the disk at b.
uuid=$(status_of a vda .uuid)
contains "$(printf '{"jsonrpc":"2.0","id":1,"method":"peer.where","params":{"uuid":"%s"}}\n' "$uuid" |
    socat -t 5 - "UNIX-CONNECT:${T}/b.ctl")" "not durably owned yet"
kill_service b
start_service b --disk "name=vda,device=$T/missing,role=standby"
await_refusal
contains "$(cat "$T/why")" "vda is still served by a"
eq "$(status_of a vda '| .role, .epoch' | xargs)" "owner 3" "a"
io "$(uri_of a vda)" "read -P 5 0 4k" "write -P 6 4k 4k"
ledger_balances a vda
stop_service a
stop_service b
