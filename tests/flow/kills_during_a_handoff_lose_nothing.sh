#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# At a random moment of a handoff the owner's service, the next owner's, or the command
# is killed, and started again. Each time exactly one of the two services owns the disk
# soon after, never both, and the load between has lost nothing.
# ctest: RUN_SERIAL TRUE
. "$(dirname "$0")/lib.sh"
need jq
rounds=${BATON_KILLS:-12}
RANDOM=${BATON_SEED:-$$}
device=$(new_device vda 64M)
mkfifo "$T/never" # a read of it is a wait
declare -A options=([a]="" [b]=",role=standby")
killed=() LOAD=''

start() {
    start_service "$1" --disk "name=vda,device=$device${options[$1]}"
}

roles() {
    echo "$(status_of a vda .role) $(status_of b vda .role)"
}

# Wait until one is the owner and the other has given it away.
settle() {
    local now='' end=$((SECONDS + 40))
    while [ "$SECONDS" -lt "$end" ]; do
        now=$(roles) || now='no answer'
        case $now in
        "owner owner") # unless a has given it away between the two questions
            [ "$(status_of a vda .role)" != owner ] || fail "two owners after $1"
            ;;
        "owner given" | "owner standby") owner=a other=b && return ;;
        "given owner" | "standby owner") owner=b other=a && return ;;
        esac
        read -rt 0.05 <>"$T/never" || true
    done
    fail "no owner after $1: $now"
}

# Wait until no handoff is going on any more.
idle() {
    local end=$((SECONDS + 40))
    while [ "$SECONDS" -lt "$end" ]; do
        if [ "$(status_of a vda .handoff) $(status_of b vda .handoff)" = "null null" ]; then
            return
        fi
        read -rt 0.05 <>"$T/never" || true
    done
    fail "a handoff is still going on after $1"
}

one_round() {
    local victim job delay
    handoff vda "$owner" "$other" >>"$T/reports" 2>>"$T/command.log" &
    job=$!
    delay=$((RANDOM % 200))
    read -rt "0.$(printf %03d "$delay")" <>"$T/never" || true
    case $((RANDOM % 5)) in
    0 | 1) victim=$owner ;;
    2 | 3) victim=$other ;;
    4) victim='command' ;;
    esac
    if [ "$victim" = command ]; then
        kill -KILL "$job" 2>/dev/null || true # it has ended before
    else
        kill_service "$victim"
        start "$victim"
    fi
    wait "$job" 2>/dev/null || true # whatever it says, the roles decide
    killed+=("$victim@${delay}ms")
    settle "the kill of $victim in round $1 after $delay ms"
    idle "the kill of $victim in round $1 after $delay ms"
    settle "round $1"
}

start a
start b
"$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of a vda)" --reconnect --stop-file "$T/stop" \
    --seconds 3600 --journal "$T/journal" >"$T/load.log" 2>&1 &
LOAD=$!
trap 'status=$?; kill "$LOAD" 2>/dev/null || true; (exit $status); cleanup_' EXIT
owner=a other=b
for ((i = 1; i <= rounds; i++)); do
    one_round "$i"
done
kill -0 "$LOAD" 2>/dev/null || fail "the load has ended: $(cat "$T/load.log")"
touch "$T/stop"
wait "$LOAD" || fail "stampcheck: $(cat "$T/load.log")"
cat "$T/load.log"
echo "killed: ${killed[*]}; epoch $(status_of "$owner" vda .epoch)"
ledger_balances a vda
ledger_balances b vda
stop_service a
stop_service b
"$BATON_TOOLS_DIR/stampcheck" --verify-file "$device" --journal "$T/journal"
