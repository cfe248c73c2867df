#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A parked disk is handed on. The next owner serves it, and dies with the cache of its
# device before its record is durable; it comes back knowing nothing, without the device,
# and refuses. The disk is parked again, where it was, and what had been acknowledged
# meanwhile is kept there: it is handed to nobody before it was written.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
need jq qemu-io nbdkit
need_breakpoints
start_volatile_device disk 16M
start_service a --disk "name=vda,device=$(device_uri disk),durability=keep"
start_service b --disk "name=vda,device=$(device_uri disk),role=standby"
io "$(uri_of a vda)" "write -P 4 0 12k" "flush"
baton park vda --at "$(control_of a)" --quiet
handoff_until b next-serving

# A client that stays: the last one to go would flush.
mkfifo "$T/commands"
qemu-io -t writeback -f raw "$(uri_of a vda)" <"$T/commands" >"$T/client.log" 2>&1 &
client=$!
trap 'status=$?; kill "$client" 2>/dev/null || true; (exit $status); cleanup_' EXIT
exec {COMMANDS}>"$T/commands"
tell() { # COMMAND ANSWER: one at a time, since it looks at its input once for all there is
    local end=$((SECONDS + 20))
    echo "$1" >&"$COMMANDS"
    until grep -q "$2" "$T/client.log"; do
        [ "$SECONDS" -lt "$end" ] || fail "$1: $(cat "$T/client.log")"
        pause_ms 20
    done
}
tell "write -P 5 0 4k" 'wrote 4096'
eq "$(status_of a vda .kept)" 1 "what a keeps of what b has acknowledged"
power_cut b disk
start_volatile_device disk 16M
start_service b --disk "name=vda,device=$T/missing,role=standby"
await_refusal
contains "$(cat "$T/why")" "still parked at a, nothing was lost"
eq "$(status_of a vda '|"\(.role) \(.epoch) \(.kept)"')" "parked 4 1" "a"
eq "$(baton recover vda --at "$(control_of a)" --json | jq -r '.disks[0].state')" parked \
    "what recover says"
if cmp -s -n 4096 "$(medium_of disk)" <(head -c 4096 /dev/zero | tr '\0' '\5'); then
    fail "the device has not forgotten anything"
fi

# b has its device again; who has nothing of what is kept must not be the owner.
stop_service b
start_service b --disk "name=vda,device=$(device_uri disk),role=standby"
fails_with 1 'kept here and have to be written first: unpark the disk' -- handoff vda a b
eq "$(status_of a vda '|"\(.role) \(.epoch) \(.kept)"')" "parked 4 1" "a after a refusal"

baton unpark vda --at "$(control_of a)" --quiet
io "$(uri_of a vda)" "read -P 5 0 4k" "read -P 4 4k 8k" "write -P 6 4k 4k"
eq "$(status_of a vda .kept)" 0 "what a keeps as the owner"
handoff vda a b >/dev/null
io "$(uri_of a vda)" "read -P 5 0 4k" "read -P 6 4k 4k" "read -P 4 8k 4k"
tell "read -P 5 0 4k" 'read 4096'
echo quit >&"$COMMANDS"
wait "$client" || fail "the client: $(cat "$T/client.log")"
! grep -qiE 'failed|error' "$T/client.log" || fail "the client: $(cat "$T/client.log")"
ledger_balances a vda
stop_service a
stop_service b
