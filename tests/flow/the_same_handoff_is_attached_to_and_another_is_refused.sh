#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A handoff is the service's, not the command's: asking for the same attaches to it,
# asking for another is refused, killing the command changes nothing, abort ends it.
. "$(dirname "$0")/lib.sh"
need qemu-io jq nbdkit
start_gated_device slow 64M
device=$(device_uri slow)
start_service a --disk "name=vda,device=$device"
for service in b c; do
    start_service "$service" --disk "name=vda,device=$device,role=standby"
done
io "$(uri_of a vda)" "aio_write -P 1 0 4k" aio_flush &
writer=$!
wait_arrivals 1

# The command itself, not the function: its own process is to be killed.
"$BATON" handoff vda --from "$(control_of a)" --to "$(control_of b)" --deadline 60s \
    >/dev/null 2>&1 &
first=$!
await_phase() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout 20 bash -c 'until [ "$("$0" status vda --at "$1" --json |
        jq -r .disks[0].handoff)" = "$2" ]; do :; done' "$BATON" "$(control_of a)" "$1" ||
        fail "the handoff does not get to $1"
}
await_phase drain
fails_with 1 'already' -- handoff vda a c
kill -KILL "$first"
wait "$first" 2>/dev/null || true # 137
await_phase drain
handoff vda a b >"$T/second" 2>"$T/second.err" &
second=$!
fails_with 1 'no handoff of vdb' -- baton abort vdb --at "$(control_of a)"
baton abort vda --at "$(control_of a)" >/dev/null
wait "$second" && fail "the aborted handoff reports success"
contains "$(cat "$T/second.err")" 'nothing changed: vda is still served by a'
open_gate slow
wait "$writer" || fail "the writer saw an error"
handoff vda a b >/dev/null
eq "$(status_of b vda .role)" owner "role of b"
fails_with 1 'given to b' -- handoff vda a c
