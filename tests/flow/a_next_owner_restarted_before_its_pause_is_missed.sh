#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Who is to own the disk and has clients is asked to hold them first. If it was started
# again since PREPARE, perhaps with another device, it is not the one that was asked:
# nothing is held, and the disk does not go there.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../handoff_back.sh"
start_pair
begin_handoff_back owner-pausing
kill_service a
start_service a --disk "name=vda,device=$(new_device other 16M),role=standby"
break_go b owner-pausing
await_refusal
contains "$(cat "$T/why")" "a answered before and is gone now"
contains "$(cat "$T/why")" "nothing changed: vda is still served by b"
eq "$(status_of b vda '| .role, .epoch, .state' | xargs)" "owner 2 open" "b"
io "$(uri_of b vda)" "read -P 5 0 4k" "write -P 6 4k 4k"
ledger_balances b vda
stop_service a
stop_service b
