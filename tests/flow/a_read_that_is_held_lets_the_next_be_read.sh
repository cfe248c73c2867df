#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The worker that reads a small read request from the socket keeps its turn and performs
# it (stack/nbdkit/entry_guard_turn.c). One that is held must not keep what follows it on the
# same connection from being read: all eight of the client's requests get to the queue.
. "$(dirname "$0")/lib.sh"
need fio jq
start_service a --disk "name=vda,device=$(new_device vda 64M)"

# await_status FIELD TEST-OPERATOR VALUE
await_status() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout 30 bash -c 'until [ "$("$0" status vda --at "$1" --json |
        jq -r ".disks[0]$2")" "$3" "$4" ]; do :; done' \
        "$BATON" "$(control_of a)" "$@" ||
        fail "$1 of vda is $(status_of a vda "$1"), not $2 $3"
}

cd "$T" # fio leaves files where it runs
fio --name=x --thread --ioengine=nbd --uri="$(uri_of a vda)" --rw=randread --bs=4k \
    --iodepth=8 --size=64M --time_based --runtime=600 >/dev/null 2>&1 &
client=$!
await_status .ledger.accepted -gt 300
baton park vda --at "$(control_of a)"
await_status .queued -eq 8
baton unpark vda --at "$(control_of a)"
before=$(status_of a vda .ledger.accepted)
await_status .ledger.accepted -gt $((before + 300))
kill -KILL "$client"
wait "$client" 2>/dev/null || true # 137
eq "$(status_of a vda .ledger.failed)" 0 "failed requests"
