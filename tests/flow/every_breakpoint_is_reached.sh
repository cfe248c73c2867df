#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every name in base/breakpoint.c is a point that a handoff of two disks, an abort, a
# refusal, a restart, parking, or their command gets to: a name that nothing reaches
# would make a test of crashes pass without a crash.
. "$(dirname "$0")/lib.sh"
need jq qemu-io
need_breakpoints
mapfile -t names < <(break_names)

# Note what is reached from here on, by whomever.
arm_all() {
    local name service
    for service in a b command; do
        for name in "${names[@]}"; do
            break_is_hit "$service" "$name" || break_at "$service" "$name" pass
        done
    done
}

start() { # NAME OPTION
    start_service "$1" --disk "name=one,vm=web,device=$T/one.img$2" \
        --disk "name=two,vm=web,device=$T/two.img$2"
}
new_device one 1M >/dev/null
new_device two 1M >/dev/null
arm_all
start a ''
start b ',role=standby'
BATON_BREAK_DIR=$(break_dir_of command) handoff vm:web a b >/dev/null
break_at a next-preparing wait
handoff vm:web b a >/dev/null &
job=$!
await_hit a next-preparing
io "$(uri_of a one)" "write 0 4k" # whose clients are at work is asked to pause
break_go a next-preparing
wait "$job" || fail "the handoff back failed"
fails_with 1 'nothing changed' -- handoff vm:web a b --deadline 0
break_at b next-locked fail
fails_with 1 'is still served by a' -- handoff vm:web a b

# The next owner does not answer at first.
break_at a owner-ejected wait
handoff vm:web a b >/dev/null &
job=$!
await_hit a owner-ejected
kill_service b
break_go a owner-ejected
await_hit a owner-asks-again
start b ',role=standby'
wait "$job" || fail "the handoff does not go on when the next owner is back"

# The owner is killed after its commit, and asks when it is back.
break_at b owner-ejected kill
handoff vm:web b a >/dev/null 2>&1 || true # its service is gone
await_hit b owner-ejected
wait "${SERVICE_PID[b]}" 2>/dev/null || true # 137
unset "SERVICE_PID[b]"
start b ',role=standby'
await_hit b owner-resumed
end=$((SECONDS + 20))
until [ "$(status_of a one .role) $(status_of a two .role)" = "owner owner" ]; do
    [ "$SECONDS" -lt "$end" ] || fail "b does not ask a again"
    pause 0.02
done
baton park vm:web --at "$(control_of a)" >/dev/null
baton unpark vm:web --at "$(control_of a)" >/dev/null

missing=()
for name in "${names[@]}"; do
    break_is_hit a "$name" || break_is_hit b "$name" || break_is_hit command "$name" ||
        missing+=("$name")
done
eq "${missing[*]-}" "" "points that nothing reached"
[ "${#names[@]}" -gt 30 ] || fail "only ${#names[@]} names were found"
