#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# x gave the disk to y, y to z: x, a client of y by its record, goes after it under load
# and writes that down. y is not needed any more then. An x that was down meanwhile finds
# z by y once y is back, or by a configured peer when y is gone for good.
# ctest: PROCESSORS 2
. "$(dirname "$0")/lib.sh"
need jq qemu-io
device=$(new_device vda 64M)
mkfifo "$T/never" # a read of it is a wait
standby=",role=standby"

start() { # NAME [OPTION]...
    local name=$1 role=$standby
    shift
    [ "$name" != x ] || role=''
    start_service "$name" --disk "name=vda,device=$device$role" "$@"
}

# await NAME ROLE OWNER EPOCH: until the service says so
await() {
    local now='' end=$((SECONDS + 20))
    while [ "$SECONDS" -lt "$end" ]; do
        now="$(status_of "$1" vda '|"\(.role) \(.owner) \(.epoch)"')" || now='no answer'
        [ "$now" != "$2 $3 $4" ] || return 0
        read -rt 0.02 <>"$T/never" || true
    done
    fail "$1 says '$now', expected '$2 $3 $4'"
}

# So much more is done by x's clients now.
progress() {
    local from end=$((SECONDS + 20))
    from=$(status_of x vda .ledger.remote)
    while [ "$(status_of x vda .ledger.remote)" -lt $((from + 50)) ]; do
        [ "$SECONDS" -lt "$end" ] || fail "x's clients do not go on $1"
        read -rt 0.02 <>"$T/never" || true
    done
}

start x
start y
start z
"$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of x vda)" --reconnect --stop-file "$T/stop" \
    --seconds 3600 --journal "$T/journal" >"$T/load.log" 2>&1 &
LOAD=$!
at_exit "kill $LOAD"
handoff vda x y >/dev/null
progress "at y"
handoff vda y z >/dev/null
await x given z 3
fails_with 1 "given to z at epoch 3; ask $(control_of z)" -- handoff vda y x
progress "at z"
eq "$(jq '.body.disk | "\(.peer_name) \(.learned)"' -r "$T/x.state/disk/vda.json")" \
    "z true" "x's record"
# There and back: z gives it to y, then y to x itself, which is the normal way back.
handoff vda z y >/dev/null
await x given y 4
progress "at y again"
handoff vda y x >/dev/null
await x owner x 5
handoff vda x y >/dev/null
handoff vda y z >/dev/null
await x given z 7
# y is not needed any more, also by an x that starts again.
kill_service y
progress "without y"
kill_service x
start x
progress "after a restart of x"
# x does not see that z gives it to y, and y to z: y leads there again.
start y
kill_service x
handoff vda z y >/dev/null
handoff vda y z >/dev/null # epoch 9
kill_service z             # whom x knows
start x
start z
await x given z 9
progress "found by who was known"
# The same with the one that x knows gone for good: a peer tells.
handoff vda z y >/dev/null # epoch 10
await x given y 10
kill_service x
handoff vda y z >/dev/null
kill_service y
start x
search=$(status_of x vda .search)
start_wait=$SECONDS
while [ "$search" = null ]; do # x has asked y in vain
    [ $((SECONDS - start_wait)) -lt 20 ] || fail "x does not say whom it looks for"
    read -rt 0.02 <>"$T/never" || true
    search=$(status_of x vda .search)
done
contains "$search" "y.ctl" "what x says of its search"
stop_service x
start x --peer "$(control_of z)"
await x given z 11
progress "found by a peer"
eq "$(status_of x vda .ledger.failed)" 0 "failed requests"
kill -0 "$LOAD" 2>/dev/null || fail "the load has ended: $(cat "$T/load.log")"
touch "$T/stop"
wait "$LOAD" || fail "stampcheck: $(cat "$T/load.log")"
ledger_balances x vda
ledger_balances z vda
stop_service x
stop_service z
"$BATON_TOOLS_DIR/stampcheck" --verify-file "$device" --journal "$T/journal"

# A service that was not asked for the disk since does not know; its answer to a person
# says who owns the disk now all the same.
start z
start x
start y
handoff vda z y >/dev/null # epoch 12
handoff vda y x >/dev/null
fails_with 1 "it is owned by x now, at epoch 13: ask $(control_of x)" -- handoff vda z y

# x gave it away itself, and goes on asking whom it gave it to. That one owned it, and
# gave it on, if somebody owns it at a later epoch.
handoff vda x y >/dev/null # epoch 14
kill_service x
handoff vda y z >/dev/null
kill_service y
start x --peer "$(control_of z)"
await x given z 15
io "$(uri_of x vda)" "read 0 4k"
