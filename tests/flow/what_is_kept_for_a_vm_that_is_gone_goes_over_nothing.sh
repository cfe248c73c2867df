#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A VM is killed, its last writes unflushed, while the owner is away. It is started
# elsewhere, and writes the same place. Its first service does not write what it has kept
# over that when it finds the owner again: neither after fail-after has ended its flush,
# nor when it was cut off meanwhile.
# ctest: RUN_SERIAL TRUE
. "$(dirname "$0")/lib.sh"
need qemu-io jq nbdkit
start_gated_device dev 64M
open_gate dev
device=$(device_uri dev) # so another life of the owner may have lost what it acknowledged

# start_first [OPTION OF THE DISK]
start_first() {
    start_service first --disk "name=vda,device=$device,durability=keep${1-}"
}

# await_first FIELD VALUE
await_first() {
    timeout 30 bash -c "until [ \"\$('$BATON' status vda --at '$(control_of first)' --json |
        jq .disks[0]$1)\" = $2 ]; do :; done" || fail "$1 of first does not become $2"
}

# vm_is_killed BYTE: that it has written
vm_is_killed() {
    io "$(uri_of first vda)" "write 1M 4k" # a restarted service has a flush owed, see there
    start_vm_to_kill first "write -P $1 0 4k"
    eq "$(status_of first vda .kept)" 1 "what is kept"
    kill_service owner
    kill_service vm
}

# vm_goes_on BYTE THAT IT FINDS, BYTE THAT IT WRITES
vm_goes_on() {
    start_service owner --disk "name=vda,device=$device"
    io "$(uri_of second vda)" "read -P $1 0 4k" "write -P $2 0 4k" # and qemu-io flushes
}

start_first ",fail-after=5s"
for service in owner second; do
    start_service "$service" --disk "name=vda,device=$device,role=standby"
done
handoff vda first owner >/dev/null
baton attach vda --at "$(control_of second)" --owner "$(control_of owner)" >/dev/null

vm_is_killed 1
await_first .ledger.failed 1
wait_log first "the flush after a VM that is gone failed" || fail "first is silent"
vm_goes_on 1 2
io "$(uri_of first vda)" "read -P 2 0 4k"
stop_service first

start_first
vm_is_killed 3
await_first .in_flight 1 # the flush
stop_short first
vm_goes_on 3 4
kill -CONT "${SERVICE_PID[first]}"
await_first .in_flight 0
io "$(uri_of first vda)" "read -P 4 0 4k"
eq "$(status_of first vda .kept)" 0 "what is kept in the end"
