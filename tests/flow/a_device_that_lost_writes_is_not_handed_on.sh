#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A device that could not write what was acknowledged says so once. The service that was
# told keeps it in mind: it does not hand the disk to one that was not, where the VM's
# next flush would succeed. The device is a loop device whose file has too little room.
. "$(dirname "$0")/lib.sh"
need qemu-io jq losetup
loop_without_room

start_service a --disk "name=vda,device=$loop"
start_service b --disk "name=vda,device=$loop,role=standby"
io "$(uri_of a vda)" "write -P 1 0 4k" "flush" || fail "there is room for this"

# refuses WHEN: the handoff fails, and says why; nothing has changed
refuses() {
    ! handoff vda a b >"$T/out" 2>"$T/err" || fail "$1: handed on"
    grep -q "does not flush" "$T/err" || fail "$1: it says: $(cat "$T/err")"
    eq "$(roles_of vda)" "owner standby" "$1: roles"
}

note "the loss is found by the handoff"
io "$(uri_of a vda)" "write -P 2 8M 6M" || true # and closes with a flush that fails
refuses "the first time"
note "the kernel has told it, and will not again"
refuses "the second time"
! io "$(uri_of a vda)" "flush" || fail "the VM's flush succeeds"
stop_service a
grep -q "the flush of .* at the end failed" "$(log_of a)" || fail "the end is silent"
