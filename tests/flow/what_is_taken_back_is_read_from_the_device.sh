#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The next owner, on another machine (where its writes are durable at once, else it could not
# forget that it owned it), serves a disk, forgets that in a crash and refuses.
# Who takes the disk back does not trust what it has cached of the device from before: the
# other one may have written there. So does who owns a disk again that was parked. Here
# the cache is a loop device's, and the other machine writes to the file below it.
. "$(dirname "$0")/lib.sh"
need qemu-io jq losetup
need_breakpoints
medium=$(new_device medium 16M)
loop_over "$medium"

start_b() {
    BATON_TEST_BOOT_ID=11111111-2222-3333-4444-555555555555 \
        start_service b --disk "name=vda,device=$1,cache=writethrough,role=standby"
}

# serves_and_forgets: b, and writes a 7 meanwhile; the handoff of a fails
serves_and_forgets() {
    local job
    handoff_until b next-serving
    kill_service b
    # b has dropped what was cached, which another machine could not.
    head -c 4096 "$loop" >/dev/null
    head -c 4096 /dev/zero | tr '\0' '\7' | dd of="$medium" conv=notrunc status=none
    break_clear b
    start_b "$T/missing"
    await_refusal
}

start_service a --disk "name=vda,device=$loop"
io "$(uri_of a vda)" "write -P 5 0 4k" "flush" "read -P 5 0 4k"
note "taken back"
start_b "$loop"
serves_and_forgets
eq "$(status_of a vda '| .role, .epoch' | xargs)" "owner 3" "a"
io "$(uri_of a vda)" "read -P 7 0 4k" "write -P 5 0 4k" "flush"

note "parked, handed on, parked again and owned again"
baton park vda --at "$(control_of a)" --quiet
stop_service b
start_b "$loop"
serves_and_forgets
eq "$(status_of a vda .role)" parked "a"
baton unpark vda --at "$(control_of a)" --quiet
io "$(uri_of a vda)" "read -P 7 0 4k"
stop_service a
stop_service b
