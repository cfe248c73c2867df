#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Either service is killed at each step of the handoff of a parked disk whose device is at
# the next owner only. What was not committed is parked still, what was goes on by itself,
# and what waited at the first service is done, once.
# ctest: PROCESSORS 2
. "$(dirname "$0")/lib.sh"
need jq
need_breakpoints
new_device at_a 16M >/dev/null
start_a() { start_service a --disk "name=vda,device=$T/at_a.img"; }
# It writes through: else it serves only when its record is durable.
start_b() { start_service b --disk "name=vda,device=$T/at_b.img,cache=writethrough,role=standby"; }

# await_role NAME ROLE WHAT
await_role() {
    local end=$((SECONDS + 30)) now=''
    until now=$(status_of "$1" vda .role 2>/dev/null) && [ "$now" = "$2" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "$3: $1 is '$now', expected $2"
        pause 0.05
    done
}

# kill_at VICTIM POINT: the handoff from a, parked, to b; its job ends anyhow
kill_at() {
    break_at "$1" "$2" kill
    handoff vda a b >"$T/report" 2>"$T/why" &
    job=$!
    await_hit "$1" "$2"
    wait "${SERVICE_PID[$1]}" 2>/dev/null || true # 137
    unset "SERVICE_PID[$1]"
    break_clear "$1"
    "start_$1"
    wait "$job" || true # what the roles say counts
}

start_a
start_b
"$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of a vda)" --reconnect --stop-file "$T/stop" \
    --seconds 3600 --journal "$T/journal" >"$T/load.log" 2>&1 &
LOAD=$!
trap 'status=$?; kill "$LOAD" 2>/dev/null || true; (exit $status); cleanup_' EXIT

# Before the commit a is parked, and needs to be asked again; after it nobody has to.
cells='b:next-prepared:parked a:owner-committing:parked a:owner-committed:given
    a:owner-assigning:given b:next-assigning:given b:next-serving:given b:next-owned:given'
all="$cells a:owner-asking:parked b:next-opened:parked a:owner-prepared:parked
    b:next-locked:given a:owner-told:given a:owner-replayed:given"
[ -z "${BATON_ALL_CELLS-}" ] || cells=$all
for cell in $cells; do
    IFS=: read -r victim point role <<<"$cell"
    pause 0.1
    baton park vda --at "$(control_of a)" >/dev/null
    mv "$T/at_a.img" "$T/at_b.img"
    kill_at "$victim" "$point"
    if [ "$role" = parked ]; then
        await_role a parked "$cell"
        contains "$(cat "$T/why")" \
            "$([ "$victim" = a ] || echo 'nothing changed: vda is still parked at a')" "$cell"
        handoff vda a b >/dev/null
    fi
    await_role b owner "$cell"
    await_role a given "$cell"
    idle vda "$cell"
    contains "$(baton recover vda --at "$(control_of a)" --json | jq -r '.disks[0].state')" \
        served-elsewhere "what recover says after $cell"
    # Back as it went: a has not had the device until it owns it.
    baton park vda --at "$(control_of b)" >/dev/null
    eq "$(baton recover vda --at "$(control_of a)" --json | jq -r '.disks[0].state')" parked \
        "what recover says while it is parked at b"
    mv "$T/at_b.img" "$T/at_a.img"
    handoff vda b a >/dev/null
    note "$cell: $(status_of a vda .epoch)"
done

kill -0 "$LOAD" 2>/dev/null || fail "the load has ended: $(cat "$T/load.log")"
touch "$T/stop"
wait "$LOAD" || fail "stampcheck: $(cat "$T/load.log")"
cat "$T/load.log"
stop_service a
stop_service b
"$BATON_TOOLS_DIR/stampcheck" --verify-file "$T/at_a.img" --journal "$T/journal"
