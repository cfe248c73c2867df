#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The copies of acknowledged writes go with the client's service, and its VMs live on. So a
# service that is told to stop has the owner flush first, and one that was killed soon
# after it is back: else the next flush of the VM would succeed without what the owner's
# machine had lost meanwhile.
. "$(dirname "$0")/lib.sh"
need qemu-io jq nbdkit
truncate -s 8M "$T/medium"

# An NBD server that has in its memory what was not flushed.
setsid nbdkit -f -U "$T/dev.sock" -P "$T/dev.pid" --filter=cache file "$T/medium" \
    cache=writeback >"$T/dev.log" 2>&1 </dev/null &
SERVICE_PID[dev]=$!
await_file "$T/dev.pid"
start() {
    start_service "$1" --disk "name=vda,device=$(device_uri dev),durability=keep$2"
}
# first_byte OFFSET: on the medium
first_byte() { od -An -tu1 -j "$1" -N 1 "$T/medium" | tr -d ' '; }

# owe_nothing: a service that is back has the owner flush once
owe_nothing() {
    io "$(uri_of a vda)" "write 4M 4k"
}

start a ""
start b ",role=standby"
handoff vda a b >/dev/null
start_vm_to_kill a "write -P 1 0 4k"
eq "$(status_of a vda .kept) $(first_byte 0)" "1 0" "what is kept, and the medium"
stop_service a
eq "$(first_byte 0)" 1 "the medium when the client has stopped"
kill_service vm

start a ""
owe_nothing
start_vm_to_kill a "write -P 2 0 4k"
kill_service a
kill_service vm
eq "$(first_byte 0)" 1 "the medium when the client was killed"
start a ""
start_vm_to_kill a "write -P 3 1M 4k"
eq "$(first_byte 0)" 2 "the medium when the client is back and has written"
kill_service vm

# An owner that is away is waited for as long as a stop may last, and no longer.
start_vm_to_kill a "write -P 4 0 4k"
eq "$(status_of a vda .kept)" 1 "what is kept"
kill_service b
stop_service a
grep -q "1 acknowledged writes were not flushed" "$(log_of a)" || fail "a is silent"
