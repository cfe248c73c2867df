#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# All disks of a VM are parked together and handed on together, their devices at the next
# owner only; either service is killed at each step. They are never half moved: what was
# not committed is parked still, all of it, what was goes on by itself, and what waited at
# the first service is done, once.
# ctest: PROCESSORS 2
. "$(dirname "$0")/lib.sh"
need jq
need_breakpoints
disks='vda vdb'
start() { # NAME OPTION
    start_service "$1" --disk "name=vda,vm=web,device=$T/vda.at_$1.img$2" \
        --disk "name=vdb,vm=web,device=$T/vdb.at_$1.img$2"
}
start_a() { start a ''; }
start_b() { start b ,role=standby; }
move() { # FROM TO
    local disk
    for disk in $disks; do
        mv "$T/$disk.at_$1.img" "$T/$disk.at_$2.img"
    done
}
park() { baton park vm:web --at "$(control_of "$1")" >/dev/null; }

roles_at() { # NAME: of both disks
    baton status --at "$(control_of "$1")" --json | jq -r '[.disks[].role] | join(" ")'
}
# await_role NAME ROLE WHAT: of both disks
await_role() {
    local end=$((SECONDS + 30)) now=''
    until now=$(roles_at "$1" 2>/dev/null) && [ "$now" = "$2 $2" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "$3: $1 is '$now', expected $2"
        pause 0.05
    done
}
# Over the whole time: no disk is at b while the other one is parked at a, and will be.
never_half() { # WHAT
    local end=$((SECONDS + 30)) now=''
    until now="$(roles_at a 2>/dev/null)/$(roles_at b 2>/dev/null)" &&
        [[ $now =~ ^(parked parked/(standby standby|given given)|given given/owner owner)$ ]]; do
        [ "$SECONDS" -lt "$end" ] || fail "half moved after $1: $now"
        pause 0.05
    done
}

# kill_at VICTIM POINT: the handoff from a, parked, to b; its job ends anyhow
kill_at() {
    break_at "$1" "$2" kill
    handoff vm:web a b >"$T/report" 2>"$T/why" &
    job=$!
    await_hit "$1" "$2"
    wait "${SERVICE_PID[$1]}" 2>/dev/null || true # 137
    unset "SERVICE_PID[$1]"
    break_clear "$1"
    "start_$1"
    wait "$job" || true # what the roles say counts
}

for disk in $disks; do
    truncate -s 16M "$T/$disk.at_a.img"
done
start_a
start_b
declare -A LOAD=()
for disk in $disks; do
    "$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of a "$disk")" --reconnect \
        --stop-file "$T/stop" --seconds 3600 --connections 2 \
        --journal "$T/journal.$disk" >"$T/load.$disk.log" 2>&1 &
    LOAD[$disk]=$!
done
trap 'status=$?; kill ${LOAD[@]} 2>/dev/null || true; (exit $status); cleanup_' EXIT

# Before the commit both are parked, and need to be asked again; after it nobody has to.
cells='b:next-prepared:parked a:owner-committing:parked a:group-spread:given
    a:group-settled:given a:owner-assigning:given b:next-locked:given b:next-opening:given
    b:group-spread:given b:next-owned:given a:owner-following:given'
all="$cells a:owner-asking:parked b:next-opened:parked a:owner-prepared:parked
    a:record-renamed:given a:owner-committed:given b:next-assigning:given
    b:record-renamed:given b:group-settled:given a:owner-told:given
    a:owner-replayed:given"
[ -z "${BATON_ALL_CELLS-}" ] || cells=$all
for cell in $cells; do
    IFS=: read -r victim point role <<<"$cell"
    pause 0.1
    park a
    move a b
    kill_at "$victim" "$point"
    never_half "$cell"
    if [ "$role" = parked ]; then
        await_role a parked "$cell"
        handoff vm:web a b >/dev/null
    fi
    await_role b owner "$cell"
    await_role a given "$cell"
    for disk in $disks; do
        idle "$disk" "$cell"
    done
    park b
    move b a
    handoff vm:web b a >/dev/null
    await_role a owner "the way back after $cell"
    note "$cell: $(status_of a vda .epoch) $(status_of a vdb .epoch)"
done

# One of the two devices is missing at b: nothing of either is moved.
park a
mv "$T/vda.at_a.img" "$T/vda.at_b.img"
fails_with 1 'No such file' -- handoff vm:web a b
await_role a parked "a refusal for one of two"
mv "$T/vdb.at_a.img" "$T/vdb.at_b.img"
handoff vm:web a b >/dev/null
await_role b owner "both devices being there"

touch "$T/stop"
for disk in $disks; do
    wait "${LOAD[$disk]}" || fail "stampcheck: $(cat "$T/load.$disk.log")"
    tail -n 2 "$T/load.$disk.log"
    ledger_balances a "$disk"
    ledger_balances b "$disk"
done
stop_service a
stop_service b
for disk in $disks; do
    "$BATON_TOOLS_DIR/stampcheck" --verify-file "$T/$disk.at_b.img" \
        --journal "$T/journal.$disk" || fail "$disk differs"
done
