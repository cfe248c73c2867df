#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The next owner holds its own clients before the owner does: what they have under way
# ends, and nothing has to be sent back. It lets them go when the handoff is given up, and
# when the owner is gone.
. "$(dirname "$0")/lib.sh"
need qemu-io jq nbdkit

# await STATE QUEUED WHEN: until that is how it looks at a. The handoffs here would hold
# for longer.
await() {
    local now='' end=$((SECONDS + 20))
    # "waiting" is open, too: what is under way has waited for more than a second.
    until now="$(status_of a vda .state) $(status_of a vda .queued)" &&
        [ "${now/#waiting/open}" = "$1 $2" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "$3 the disk is '$now' at a, not '$1 $2'"
        pause 0.05
    done
}

begin() {
    "$BATON" handoff vda --from "$(control_of b)" --to "$(control_of a)" --deadline 50s \
        --json >"$T/report" 2>"$T/handoff.err" &
    job=$!
    await holding 0 "in a handoff"
}

start_gated_device slow 64M
device=$(device_uri slow)
start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
handoff vda a b >/dev/null
io "$(uri_of a vda)" "aio_write -P 1 0 4k" "aio_write -P 2 4k 4k" aio_flush &
under_way=$!
wait_arrivals 2

note "a handoff that has no time for them"
fails_with 1 "drain: vda: 2 requests have not ended at $device" -- \
    handoff vda b a --deadline 2s
await open 0 "after its deadline"

note "a handoff that is given up"
begin
baton abort vda --at "$(control_of b)" >/dev/null
! wait "$job" || fail "the handoff was not given up"
await open 0 "after an abort"

note "an owner that is gone"
begin
kill_service b
! wait "$job" || fail "the handoff went on"
await open 0 "without its owner"
start_service b --disk "name=vda,device=$device,role=standby"
wait_arrivals 2 # again

note "a handoff that goes on"
begin
io "$(uri_of a vda)" "write -P 3 8k 4k" &
new=$!
await holding 1 "with a new request"
open_gate slow
wait "$job" || fail "the handoff failed: $(<"$T/handoff.err")"
eq "$(jq -r .ledger.bounced "$T/report")" 0 "requests that b sent back"
wait "$under_way" || fail "a request that was under way failed"
wait "$new" || fail "the new request failed"
io "$(uri_of a vda)" "read -P 1 0 4k" "read -P 2 4k 4k" "read -P 3 8k 4k"
eq "$(status_of a vda .role) $(status_of b vda .role)" "owner given" "roles"
ledger_balances a vda
ledger_balances b vda
