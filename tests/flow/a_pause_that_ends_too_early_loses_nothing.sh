#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The next owner holds its clients no longer than the owner's deadline. When the owner
# takes longer to ask for the assignment, a request that was held goes to it after all;
# it has closed the device and serves nobody. The request comes back and is performed by
# the next owner.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../handoff_back.sh"
start_pair
begin_handoff_back owner-assigning --deadline 2s
io "$(uri_of a vda)" "write -P 6 4k 4k" &
held=$!
end=$((SECONDS + 20))
until now=$(status_of a vda '| .state, .in_flight' | xargs) && [ "$now" = "replaying 1" ]; do
    [ "$SECONDS" -lt "$end" ] || fail "the disk stays '$now' at a"
    pause 0.05
done
break_go b owner-assigning
wait "$job" || fail "the handoff failed: $(<"$T/why")"
wait "$held" || fail "the write that was held failed"
io "$(uri_of a vda)" "read -P 5 0 4k" "read -P 6 4k 4k"
eq "$(status_of a vda '| .role, .state' | xargs)" "owner open" "a"
ledger_balances a vda
ledger_balances b vda
stop_service a
stop_service b
