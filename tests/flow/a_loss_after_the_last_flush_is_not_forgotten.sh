#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A write that the device loses after the giver's last flush is told once. A next owner
# that goes past the cache would not keep that in mind, and the VM's second flush would
# succeed there: so the giver flushes for it, finds the loss and keeps the disk. The
# device is a loop device whose file has too little room.
. "$(dirname "$0")/lib.sh"
need qemu-io jq losetup
need_breakpoints
loop_without_room

# The first owner's blocks are those that cache=none needs.
start_service a --disk "name=vda,device=$loop,cache=none"
start_service b --disk "name=vda,device=$loop,role=standby"
io "$(uri_of a vda)" "write -P 1 0 4k" "flush"
handoff vda a b >/dev/null

# A client that stays: the last one to go would flush.
mkfifo "$T/commands"
setsid qemu-io -t writeback -f raw "$(uri_of b vda)" <"$T/commands" >"$T/client.log" 2>&1 &
SERVICE_PID[client]=$!
exec {COMMANDS}>"$T/commands"
break_at b owner-prepared wait
handoff vda b a >"$T/out" 2>"$T/err" &
job=$!
await_hit b owner-prepared
echo "write -P 2 8M 6M" >&"$COMMANDS"
end=$((SECONDS + 20))
until grep -q "wrote" "$T/client.log"; do
    [ "$SECONDS" -lt "$end" ] || fail "the client: $(cat "$T/client.log")"
    pause 0.05
done
break_go b owner-prepared
status=0
wait "$job" || status=$?
for ((i = 0; i < 2; i++)); do
    ! io "$(uri_of b vda)" "flush" || fail "a flush of the VM succeeds"
done
eq "$status" 1 "exit status of the handoff"
contains "$(cat "$T/err")" "does not flush" "why"
eq "$(roles_of vda)" "given owner" "roles"
