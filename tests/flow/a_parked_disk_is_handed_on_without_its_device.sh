#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A disk is parked at a, its device is moved to where b finds it, and it is handed to b:
# a, restarted meanwhile, needs no device for that. What waited at a is done by b. Then
# the way back, parked again and not. Another device at b is refused, before the commit and
# after it, and the disk is still parked.
# ctest: PROCESSORS 2
. "$(dirname "$0")/lib.sh"
need jq qemu-io
new_device at_a 64M >/dev/null
start_a() { start_service a --disk "name=vda,device=$T/at_a.img"; }
start_b() { start_service b --disk "name=vda,device=$T/at_b.img,role=standby"; }
# move FROM TO: as between two machines, so with another number
move() {
    cp --sparse=always "$T/at_$1.img" "$T/moved"
    rm "$T/at_$1.img"
    mv "$T/moved" "$T/at_$2.img"
}
# Until so many requests wait at a; their number does not change while it is parked.
await_queue() {
    local end=$((SECONDS + 20))
    until [ "$(status_of a vda .queued)" -ge "$1" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "the load does not wait at a"
        pause 0.02
    done
}
roles() { eq "$(status_of a vda '|"\(.role) \(.epoch)"') $(status_of b vda '|"\(.role) \(.epoch)"')" "$1" "$2"; }
park() { baton park vda --at "$(control_of "$1")" >/dev/null; }

start_a
start_b # its device is not there yet
"$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of a vda)" --reconnect --stop-file "$T/stop" \
    --seconds 3600 --journal "$T/journal" >"$T/load.log" 2>&1 &
LOAD=$!
trap 'status=$?; kill "$LOAD" 2>/dev/null || true; (exit $status); cleanup_' EXIT
pause 0.3
park a
await_queue 1
fails_with 1 'No such file' -- handoff vda a b
fails_with 1 'nothing changed: vda is still parked at a' -- handoff vda a b

note "another device at b"
new_device at_b 64M >/dev/null
fails_with 1 'another device' -- handoff vda a b
fails_with 1 'nothing changed: vda is still parked at a' -- handoff vda a b
rm "$T/at_b.img"
cp "$T/at_a.img" "$T/at_b.img" # a copy, while the device itself is still at a
fails_with 1 'another device: file:' -- handoff vda a b
new_device at_b 32M >/dev/null
fails_with 1 'the size is' -- handoff vda a b
roles "parked 2 standby 0" "roles after refusals"
rm "$T/at_b.img"

note "moved, and a restarted without it"
move a b
kill_service a
start_a
eq "$(status_of a vda .role)" parked "a after its restart"
await_queue 1
handoff vda a b >"$T/report"
eq "$(jq -r '"\(.outcome) \(.from) \(.to) \(.epoch)"' "$T/report")" "done a b 3" report
[ "$(jq .replayed "$T/report")" -ge 1 ] || fail "nothing was replayed: $(cat "$T/report")"
roles "given 3 owner 3" "roles"
pause 0.3

note "parked there, moved back, handed back: without a's ever having opened it"
park b
move b a
handoff vda b a >"$T/report"
roles "owner 5 given 5" "roles when it is back"
pause 0.3

note "there while parked, back by a handoff that is not"
park a
mv "$T/at_a.img" "$T/at_b.img"
handoff vda a b >/dev/null
ln "$T/at_b.img" "$T/at_a.img" # both reach it now
handoff vda b a >/dev/null
roles "owner 8 given 8" "roles after a handoff back"
pause 0.3

if has_breakpoints; then
    note "refused after the commit: parked again"
    park a
    rm "$T/at_a.img"
    break_at b next-locked fail
    fails_with 1 'still parked at a, nothing was lost' -- handoff vda a b
    break_clear b
    eq "$(status_of a vda '|"\(.role) \(.epoch)"')" "parked 11" "a after the refusal"
    kill_service a
    start_a
    eq "$(status_of a vda .role)" parked "a after the refusal and a restart"
    handoff vda a b >/dev/null
    ln "$T/at_b.img" "$T/at_a.img"
    handoff vda b a >/dev/null
fi

kill -0 "$LOAD" 2>/dev/null || fail "the load has ended: $(cat "$T/load.log")"
touch "$T/stop"
wait "$LOAD" || fail "stampcheck: $(cat "$T/load.log")"
cat "$T/load.log"
ledger_balances a vda
ledger_balances b vda
stop_service a
stop_service b
"$BATON_TOOLS_DIR/stampcheck" --verify-file "$T/at_a.img" --journal "$T/journal"
