#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# At a random moment of a handoff the owner's service, the next owner's, or the command
# is killed, and started again. Each time exactly one of the two services owns the disk
# soon after, never both, and the load between has lost nothing.
# ctest: PROCESSORS 2
. "$(dirname "$0")/lib.sh"
need jq
rounds=${BATON_KILLS:-12}
RANDOM=${BATON_SEED:-$$}
device=$(new_device vda 64M)
declare -A options=([a]="" [b]=",role=standby")
killed=() LOAD=''

start() {
    start_service "$1" --disk "name=vda,device=$device${options[$1]}"
}

one_round() {
    local victim job delay
    start_command handoff vda --from "$(control_of "$owner")" --to "$(control_of "$other")"
    job=$COMMAND_PID
    delay=$((RANDOM % 200))
    pause "0.$(printf %03d "$delay")"
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
    settle vda "the kill of $victim in round $1 after $delay ms"
    idle vda "the kill of $victim in round $1 after $delay ms"
    settle vda "round $1"
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
