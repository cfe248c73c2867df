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
[ "$(id -u)" -eq 0 ] || skip "a loop device needs root"
medium=$(new_device medium 16M)
loop=$(losetup --find --show "$medium") || skip "no loop device here"
release() { losetup --detach "$loop"; }
at_exit release
# shellcheck disable=SC2034 # only kept open: the cache of a machine outlives a process
exec {OPEN}<"$loop"

start_b() {
    BATON_TEST_BOOT_ID=11111111-2222-3333-4444-555555555555 \
        start_service b --disk "name=vda,device=$loop,role=standby"
}
# A VM of b that does not flush, which qemu-io does at its end.
write_at_b() {
    local line
    coproc VM { exec timeout 60 stdbuf -oL qemu-io -t writeback -f raw "$(uri_of b vda)" 2>&1; }
    echo "write -P 2 0 4k" >&"${VM[1]}"
    until [[ ${line-} == *ops/sec* ]]; do
        read -r -t 20 line <&"${VM[0]}" || fail "the VM of b does not write"
    done
}

start_service a --disk "name=vda,device=$medium"
start_b
baton attach vda --at "$(control_of b)" --owner "$(control_of a)" >/dev/null
io "$(uri_of b vda)" "write -P 1 0 4k" "flush"
break_at b next-serving pass # between a gate that is open and a durable record
handoff vda a b >/dev/null
! break_is_hit b next-serving || fail "b serves a disk that it may forget"
write_at_b
kill_service b
start_b
eq "$(status_of b vda '| .role, .epoch' | xargs)" "owner 2" "b"
io "$(uri_of a vda)" "read -P 2 0 4k"
stop_service a
stop_service b
