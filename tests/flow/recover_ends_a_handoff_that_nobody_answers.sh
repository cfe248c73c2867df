#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The next owner dies between the commit and ASSIGN. The command that watches the handoff
# and a request that was held are both still waiting when a person takes the disk: the
# request is done, the command is told what happened.
. "$(dirname "$0")/lib.sh"
need qemu-io nbdkit jq
start_gated_device dev 16M
mkfifo "$T/never" # a read of it is a wait
start_service a --disk "name=vda,device=$(device_uri dev)"
start_service b --disk "name=vda,device=$(device_uri dev),role=standby"
ctl=$(control_of a)

# await FIELD VALUE: until a says so of vda
await() {
    local end=$((SECONDS + 20))
    until [ "$(status_of a vda "$1")" = "$2" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "$1 of vda does not become $2"
        read -rt 0.05 <>"$T/never" || true
    done
}

io "$(uri_of a vda)" "write -P 1 0 4k" &
first=$!
wait_arrivals 1
handoff vda a b --deadline 60s >"$T/report" 2>"$T/command" &
command=$!
await .handoff drain
io "$(uri_of a vda)" "write -P 2 4k 4k" &
held=$!
await .queued 1
stop_short b # were it gone, a would see that before the commit
open_gate dev # a drains, flushes, commits, and asks b
await .handoff assign
kill_service b
eq "$(baton recover vda --at "$ctl" --json |
    jq -r '.disks[0] | .state, .device.lock, .here.asking' | xargs)" \
    "next-owner-silent none true" "verdict"
if has_breakpoints; then
    break_at a record-written fail
    fails_with 1 vda.json -- baton recover vda --at "$ctl" --take
    await .handoff assign # it is asked again, with what was held in the channel
    eq "$(status_of a vda '| .role, .epoch' | xargs)" "given 2" "a, whose take failed"
fi
baton recover vda --at "$ctl" --take
wait "$first" || fail "the write that was drained, or the flush after it, failed"
wait "$held" || fail "the write that was held failed"
status=0
wait "$command" || status=$?
eq "$status" 1 "exit status of the handoff"
contains "$(cat "$T/command")" "the handoff ends here, for baton recover"
io "$(uri_of a vda)" "read -P 1 0 4k" "read -P 2 4k 4k" "write -P 3 8k 4k"
eq "$(status_of a vda '| .role, .epoch, .handoff' | xargs)" "owner 4 null" "a"
ledger_balances a vda
