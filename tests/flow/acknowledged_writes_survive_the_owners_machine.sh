#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a remote VM had acknowledged and did not flush is there after the owner's machine
# died: the owner is killed, and so is its device, which had everything in a cache. A
# handoff flushes, and then nothing is written again. A policy that does not keep loses
# the writes, which shows that the machine does forget.
# ctest: LABELS flow;short
. "$(dirname "$0")/lib.sh"
need qemu-io jq nbdkit
truncate -s 8M "$T/medium"

# An NBD server that has in its memory what was not flushed. Both services use it.
start_device() {
    setsid nbdkit -f -U "$T/dev.sock" -P "$T/dev.pid" --filter=cache file "$T/medium" \
        cache=writeback >>"$T/dev.log" 2>&1 </dev/null &
    SERVICE_PID[dev]=$!
    await_file "$T/dev.pid"
}

start() {
    start_service "$1" --disk "name=vda,device=$(device_uri dev),durability=$policy$2"
}

machine_dies() {
    kill_service b
    kill_service dev
    rm -f "$T/dev.sock" "$T"/dev.pid*
}

machine_boots() {
    start_device
    start b ",role=standby" # the record says owner
}

# A VM of service a that stays connected. vm COMMAND: one of qemu-io's that answers.
start_vm() {
    coproc VM { exec setsid qemu-io -t writeback -f raw "$(uri_of a vda)" 2>&1; }
    SERVICE_PID[vm]=$VM_PID
}
vm() {
    local line
    echo "$1" >&"${VM[1]}"
    while read -r -t 30 -u "${VM[0]}" line; do
        case $line in
        *ops\;*) return ;;
        *ailed* | *rror*) fail "$1: $line" ;;
        esac
    done
    fail "$1: no answer"
}

# first_byte OFFSET: on the medium
first_byte() { od -An -tu1 -j "$1" -N 1 "$T/medium" | tr -d ' '; }

policy=keep
start_device
start a ""
start b ",role=standby"
handoff vda a b >/dev/null
start_vm
vm "write -P 1 0 64k"
vm "write -P 2 4k 4k"
vm "write -z 8k 4k"
eq "$(status_of a vda .kept) $(status_of a vda .kept_bytes)" "3 69632" "what is kept"
eq "$(status_of b vda .kept)" 0 "what the owner keeps"
machine_dies
eq "$(first_byte 0)" 0 "the medium after the machine has died"
machine_boots
vm "read -P 1 0 4k"
vm "read -P 2 4k 4k"
vm "read -P 0 8k 4k"
vm "read -P 1 12k 52k"

# The owner comes back, and gives the disk away before the client has said a word.
vm "write -P 3 1M 4k"
machine_dies
machine_boots
handoff vda b a >/dev/null
eq "$(status_of a vda .role) $(status_of a vda .kept)" "owner 0" "a after the handoff"
vm "read -P 3 1M 4k"
vm "read -P 2 4k 4k"
grep -q "wrote 4 acknowledged requests again" "$(log_of a)" || fail "a is silent"

# An ordinary handoff in both directions: nothing is written twice.
handoff vda a b >/dev/null
vm "write -P 4 2M 4k"
handoff vda b a >/dev/null
eq "$(grep -c "acknowledged requests again" "$(log_of a)")" 1 "writes that are repeated"
vm "read -P 4 2M 4k"
eq "$(first_byte 2097152)" 4 "the medium after a handoff"

# A person takes the disk, for the owner does not come back: it was told by nobody what
# was flushed.
handoff vda a b >/dev/null
vm "write -P 8 6M 4k"
machine_dies
start_device
baton recover vda --at "$(control_of a)" --take >/dev/null
vm "read -P 8 6M 4k"
eq "$(status_of a vda .role) $(status_of a vda .kept)" "owner 0" "a after the take"
eq "$(grep -c "acknowledged requests again" "$(log_of a)")" 2 "writes that are repeated"
start b ",role=standby"
eq "$(status_of b vda .state)" superseded "b, which comes back"

# The last VM goes: what is kept for it is flushed.
handoff vda a b >/dev/null
vm "write -P 5 3M 4k"
kill_service vm
timeout 20 bash -c "until [ \"\$('$BATON' status vda --at '$(control_of a)' --json |
    jq .disks[0].kept)\" = 0 ]; do :; done" || fail "it is still kept"
eq "$(first_byte 3145728)" 5 "the medium after the VM has gone"

# Plain NBD.
stop_service a
policy=owner
start a ""
start_vm
vm "write -P 6 4M 4k"
eq "$(status_of a vda .kept)" 0 "what is kept without the policy"
machine_dies
machine_boots
vm "read -P 0 4M 4k"
kill_service vm
stop_service a

policy=writethrough
start a ""
start_vm
vm "write -P 7 5M 4k"
eq "$(first_byte 5242880)" 7 "the medium after an acknowledgement"
kill_service vm
ledger_balances a vda
