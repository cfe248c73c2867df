#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The next owner hangs when it is asked to hold its clients. The owner serves on, and an
# abort does not have to wait for the handoff's deadline.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../handoff_back.sh"
start_pair
begin_handoff_back owner-pausing --deadline 10m
stop_short a
break_go b owner-pausing
io "$(uri_of b vda)" "write -P 6 4k 4k"
baton abort vda --at "$(control_of b)" >/dev/null
wait_end "$job" 30 || fail "the handoff goes on: $(baton status vda --at "$(control_of b)" --json)"
contains "$(cat "$T/why")" "aborted on request"
contains "$(cat "$T/why")" "nothing changed: vda is still served by b"
eq "$(status_of b vda '| .role, .epoch, .state' | xargs)" "owner 2 open" "b"
kill -CONT -- "-${SERVICE_PID[a]}"
io "$(uri_of a vda)" "read -P 5 0 4k" "read -P 6 4k 4k" "write -P 7 8k 4k"
io "$(uri_of b vda)" "read -P 7 8k 4k"
stop_service a
stop_service b
