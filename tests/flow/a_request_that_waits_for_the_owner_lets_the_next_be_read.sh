#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The worker that carries a request to the owner keeps its turn to read while it waits,
# as long as the client has nothing more to say (base/may_block.h). When it has, the next
# request is read and answered, whatever becomes of the first; on the channel and to a
# device that is an NBD server.
. "$(dirname "$0")/lib.sh"
need qemu-io jq nbdkit
start_gated_device slow 64M
start_service a --disk "name=vda,device=$(device_uri slow)"
start_service b --disk "name=vda,device=$(device_uri slow),role=standby"

# write_and_read SERVICE: a client whose write waits at the gate, and who reads meanwhile.
write_and_read() {
    local log=$T/$1.client
    # One by one first: the service is to take it for a client that never has two.
    (
        for _ in $(seq 70); do
            echo 'read -P 0 1M 4k'
        done
        printf '%s\n' 'aio_write -P 7 0 4k' 'read -P 0 2M 8k' 'aio_flush' quit
    ) | qemu-io -t writeback -f raw "$(uri_of "$1" vda)" >"$log" 2>&1 &
    client=$!
    wait_arrivals 1
    rm -f "$log.never"
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout 20 bash -c 'mkfifo "$1.never" && until grep -q "read 8192/8192" "$1"; do
        read -rt 0.02 <>"$1.never" || true
    done' - "$log" ||
        fail "the read behind a write that waits: $(tail -n 3 "$log")"
}

# end_write SERVICE: lets it through, and closes the gate again.
end_write() {
    open_gate slow
    wait "$client" || fail "the client of $1: $(cat "$T/$1.client")"
    ! grep -qiE 'failed|error' "$T/$1.client" || fail "$1: $(cat "$T/$1.client")"
    exec {GATE}>&-
}

write_and_read a # the device is behind NBD
end_write a
handoff vda a b >/dev/null
write_and_read a # the channel is
end_write a
eq "$(status_of a vda .ledger.failed)" 0 "failed requests"
ledger_balances a vda
