#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The power of the owner's machine goes, again and again; its client is elsewhere and
# lives. With durability=keep a VM there notices nothing: also what was acknowledged and
# not flushed is read back. With durability=owner it is lost, which shows that the
# machine does forget.
# ctest: PROCESSORS 2
# ctest: TIMEOUT 200
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
need jq nbdkit
if "$BATON" serve --disk "name=x,device=/x,durability=keep" 2>&1 | grep -q 'unknown key'; then
    skip "this service has no durability policies"
fi
rounds=${BATON_CUTS:-5}
RANDOM=${BATON_SEED:-$$}

start() { # SERVICE OPTIONS
    launch_service "$1" \
        --disk "name=vda,device=$(device_uri disk)$policy$2"
    wait_ready "$1"
}

# The machine of the owner, a; the client c is on another one.
boot() {
    start_volatile_device disk 16M
    start a "${1-}"
}

start_load() {
    rm -f "$T/filled" "$T/stop"
    # No flush but the few that the checker sends: nothing else empties the cache.
    "$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of c vda)" --seconds 300 \
        --stop-file "$T/stop" --seed "$RANDOM" --journal "$T/journal" \
        --ready-file "$T/filled" >"$T/load.log" 2>&1 &
    load=$!
    until [ -e "$T/filled" ]; do
        kill -0 "$load" || fail "stampcheck: $(cat "$T/load.log")"
        pause_ms 20
    done
}

policy=,durability=keep
boot ",role=standby"
start c ""
handoff vda c a >/dev/null
start_load
for ((i = 1; i <= rounds; i++)); do
    pause_ms $((100 + RANDOM % 900))
    power_cut a disk
    pause_ms $((RANDOM % 300))
    boot
    settle a c "cut $i"
    eq "$owner" a "owner after cut $i"
    kill -0 "$load" 2>/dev/null || fail "cut $i: the load has ended: $(cat "$T/load.log")"
    # There and back: then nothing is kept, and writes are not repeated over newer ones.
    if [ $((i % 2)) -eq 0 ]; then
        handoff vda a c >/dev/null
        pause_ms $((RANDOM % 200))
        handoff vda c a >/dev/null
    fi
done
touch "$T/stop"
wait "$load" || fail "stampcheck: $(cat "$T/load.log")"
cat "$T/load.log"
ledger_balances c vda
stop_service c
stop_service a
kill_service disk
"$BATON_TOOLS_DIR/stampcheck" --verify-file "$(medium_of disk)" --journal "$T/journal"

policy=,durability=owner
boot
start c ""
start_load
# A cut right after a flush takes nothing, so there may have to be several.
for ((i = 1; i <= 10; i++)); do
    pause_ms 300
    kill -0 "$load" 2>/dev/null || break
    power_cut a disk
    boot
done
touch "$T/stop"
if wait "$load"; then
    fail "nothing was lost without the policy: $(cat "$T/load.log")"
fi
grep -q 'FAULT: sector' "$T/load.log" || fail "another fault: $(cat "$T/load.log")"
