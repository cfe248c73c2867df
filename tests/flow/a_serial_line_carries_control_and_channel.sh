#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two services that reach each other by one serial line only, here a pseudo terminal; the
# bridges at its ends carry control and channel, in both directions and many connections
# at a time. The disk goes there and back under load, while the line is cut and either
# bridge is killed, again and again.
# ctest: PROCESSORS 2
. "$(dirname "$0")/lib.sh"
need socat jq
rounds=${BATON_ROUNDS:-6}
RANDOM=${BATON_SEED:-$$}

# The names of the other one's sockets: of b as a sees them, and of a as b does.
mkdir "$T/at-a" "$T/at-b"
control_at() { echo "unix:$T/at-$1/$2.ctl"; }

start_program() { # NAME COMMAND...
    local name=$1
    shift
    LOG_START_[$name]=$(($(wc -l <"$(log_of "$name")") + 1))
    LD_PRELOAD=${BATON_PRELOAD-} setsid "$@" >>"$(log_of "$name")" 2>&1 </dev/null &
    SERVICE_PID[$name]=$!
}
touch "$T/line.log" "$T/bridge-a.log" "$T/bridge-b.log"
start_line() {
    rm -f "$T/port" "$T/line.sock"
    LD_PRELOAD='' start_program line socat "PTY,link=$T/port,rawer" \
        "UNIX-LISTEN:$T/line.sock"
}
start_bridge() { # a: the host's end, b: the VM's
    local other=b port=unix:$T/line.sock
    [ "$1" = a ] || other=a port=$T/port
    start_program "bridge-$1" "$BATON" serial "$port" \
        --offer "$1.ctl=unix:$T/$1.ctl" --offer "$1.nbd=unix:$T/$1.nbd" \
        --reach "$other.ctl=unix:$T/at-$1/$other.ctl" \
        --reach "$other.nbd=unix:$T/at-$1/$other.nbd"
}

dev=$(new_device vda 16M)
start_service a --announce "unix:$T/at-b/a.nbd" --disk "name=vda,device=$dev"
start_service b --announce "unix:$T/at-a/b.nbd" --disk "name=vda,device=$dev,role=standby"
start_line
start_bridge a
start_bridge b
wait_log bridge-a 'the other side is there' || fail "the bridges do not meet"
baton status --at "$(control_at a b)" >/dev/null || fail "status over the line"

"$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of a vda)" --seconds 280 --area 4m \
    --stop-file "$T/stop" --ready-file "$T/filled" --seed "$RANDOM" --timeout 120 \
    --journal "$T/journal" >"$T/load.log" 2>&1 &
load=$!
until [ -e "$T/filled" ]; do
    kill -0 "$load" || fail "stampcheck: $(cat "$T/load.log")"
    pause 0.05
done

move() { # FROM TO: until it is there, since the line may be away
    local end=$((SECONDS + 40))
    until [ "$(status_of "$2" vda .role)" = owner ]; do
        [ "$SECONDS" -lt "$end" ] || fail "no handoff from $1 to $2: $(cat "$T/move.err")"
        baton handoff vda --from "$(control_of "$1")" --to "$(control_at "$1" "$2")" \
            --quiet 2>"$T/move.err" || pause 0.05
    done
}

# However much is on the line, a new connection finds its way.
move a b
"$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of a vda)" --seconds 2 --offset 4m --area 8m \
    --block-sizes 65536..262144 --depth 32 >"$T/bulk.log" 2>&1 &
bulk=$!
while kill -0 "$bulk" 2>/dev/null; do
    baton status --at "$(control_at a b)" >/dev/null || fail "status beside a load"
done
wait "$bulk" || fail "stampcheck: $(cat "$T/bulk.log")"
move b a

for ((i = 0; i < rounds; i++)); do
    if ((i % 2 == 0)); then from=a to=b; else from=b to=a; fi
    move $from $to &
    mover=$!
    pause "0.$((RANDOM % 4))$((RANDOM % 10))"
    case $((i % 3)) in
    0) # the line ends with it, unlike that of a VM
        kill_service bridge-a
        kill_service line || true # it may have ended with its other end
        start_line
        start_bridge a
        ;;
    1) kill_service bridge-b && start_bridge b ;;
    2)
        kill_service line || true # it may have ended with its other end
        start_line
        ;;
    esac
    wait "$mover" || fail "round $i"
    wait_log bridge-a 'the other side is there' || fail "the bridges do not meet again"
    settle vda "round $i"
    eq "$owner" "$to" "owner after round $i"
done
: >"$T/stop"
wait "$load" || fail "stampcheck: $(cat "$T/load.log")"
tail -n 2 "$T/load.log"
ledger_balances a vda
ledger_balances b vda
eq "$(status_of a vda .ledger.failed)" 0 "requests that failed"
stop_service a
stop_service b
"$BATON_TOOLS_DIR/stampcheck" --verify-file "$dev" --journal "$T/journal" ||
    fail "the device differs"
