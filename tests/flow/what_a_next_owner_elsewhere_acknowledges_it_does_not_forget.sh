#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A next owner on another machine, with a page cache of its own, acknowledges a write and
# dies at once. What it has cached is seen by nobody else: so it may not come back and say
# that it never owned the disk, and the giver go on without that write. It serves only when
# its record is durable. The other machine is played by a loop device, which has a cache of
# its own, over the file that a uses.
. "$(dirname "$0")/lib.sh"
need qemu-io jq losetup
need_breakpoints
medium=$(new_device medium 16M)
loop_over "$medium"

start_b() {
    BATON_TEST_BOOT_ID=11111111-2222-3333-4444-555555555555 \
        start_service b --disk "name=vda,device=$loop,role=standby"
}

start_service a --disk "name=vda,device=$medium"
start_b
baton attach vda --at "$(control_of b)" --owner "$(control_of a)" >/dev/null
io "$(uri_of b vda)" "write -P 1 0 4k" "flush"
break_at b next-serving pass # between a gate that is open and a durable record
handoff vda a b >/dev/null
! break_is_hit b next-serving || fail "b serves a disk that it may forget"
start_writing_vm b "write -P 2 0 4k" -t writeback # without the flush that qemu-io ends with
kill_service b
start_b
eq "$(status_of b vda '| .role, .epoch' | xargs)" "owner 2" "b"
io "$(uri_of a vda)" "read -P 2 0 4k"
stop_service a
stop_service b
