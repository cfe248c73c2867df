#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A write of service b is delayed on its way to the owner a. b becomes the owner, performs
# that write and a newer one, which it flushes, forgets all that in a crash and refuses. a
# has the disk again: then the delayed bytes arrive. They belong to a session from before
# the handoff, and nothing of it is performed any more; the newer data stays. b is a client
# of a again, and so is a service that looked on. The same from a disk that was parked.
. "$(dirname "$0")/lib.sh"
need jq qemu-io
need_breakpoints

tell() {
    timeout 40 "$BATON_TOOLS_DIR/cutproxy" --tell "$T/proxy.ctl" "$@" >"$T/told" ||
        fail "cutproxy $*: $(cat "$T/told")"
}

# byte N: what the device holds at byte N
byte() { od -An -tu1 -j "$1" -N 1 "$device" | tr -d ' '; }

# delayed_write: a write of b is on its way to a, in a session that is lost to b
delayed_write() {
    tell open a
    start_writing_vm b "write -P 9 64k 4k" # and stays, so that the session does
    tell hold up a
    timeout 60 qemu-io -f raw -c "write -P 1 0 4k" "$(uri_of b vda)" >"$T/w1" 2>&1 &
    w1=$!
    tell wait-held 4096 a
    tell close a
    tell orphan a
    delayed=$(tell list && sed -n 's/^\(#[0-9]*\) a orphan up [1-9].*/\1/p' "$T/told")
}

# serves_and_forgets EPOCH ROLE: b does, and refuses; a has the disk again
serves_and_forgets() {
    local job
    handoff_until b next-serving
    wait "$w1" || fail "b does not perform what was delayed: $(cat "$T/w1")"
    io "$(uri_of b vda)" "write -P 2 0 4k" "flush"
    eq "$(byte 0)" 2 "what b has written"
    kill_service b
    echo quit >&"${WRITER[1]}" || true # it has ended
    wait "$WRITER_PID" || true
    break_clear b
    start_service b --disk "name=vda,device=$T/missing,role=standby"
    await_refusal
    eq "$(status_of a vda '| .role, .epoch' | xargs)" "$2 $1" "a"
}

# The server has done with the delayed write what it will do when it has answered.
late_bytes_change_nothing() {
    local id
    [ -n "$delayed" ] || fail "nothing was delayed"
    tell release a
    for id in $delayed; do
        tell wait-answered 16 "$id"
        tell cut "$id"
    done
    eq "$(byte 0)" 2 "the device after the delayed bytes"
    io "$(uri_of a vda)" "read -P 2 0 4k"
}

# clients_are_back EPOCH: b and c go to a at that epoch, without a request that failed
clients_are_back() {
    local client
    for client in b c; do
        io "$(uri_of "$client" vda)" "read -P 2 0 4k" "write -P 3 4k 4k"
        eq "$(status_of "$client" vda '| .role, .epoch' | xargs)" "given $1" "$client"
        eq "$(status_of "$client" vda .ledger.failed)" 0 "failed requests of $client"
    done
}

setsid "$BATON_TOOLS_DIR/cutproxy" --control "$T/proxy.ctl" \
    --route "a=$T/a.cut:$(socket_of a)" >"$T/proxy.log" 2>&1 </dev/null &
SERVICE_PID[proxy]=$!
until [ -S "$T/proxy.ctl" ]; do pause 0.02; done
device=$(new_device vda 16M)
# b writes through: else it would not serve before its record is durable what was parked.
start_service a --announce "unix:$T/a.cut" --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,cache=writethrough,role=standby"
start_service c --disk "name=vda,device=$device,role=standby"
baton attach vda --at "$(control_of c)" --owner "$(control_of a)" >/dev/null

note "taken back"
baton attach vda --at "$(control_of b)" --owner "$(control_of a)" >/dev/null
delayed_write
serves_and_forgets 3 owner
late_bytes_change_nothing
tell open a
clients_are_back 3

note "parked, handed on, parked again and owned again"
stop_service b
start_service b --disk "name=vda,device=$device,cache=writethrough,role=standby"
delayed_write
baton park vda --at "$(control_of a)" --quiet
serves_and_forgets 6 parked
baton unpark vda --at "$(control_of a)" --quiet
late_bytes_change_nothing
tell open a
clients_are_back 7

stop_service b
start_service b --disk "name=vda,device=$device,cache=writethrough,role=standby"
epoch=7
for point in owner-relocked owner-retaken; do
    note "the owner dies at $point"
    break_at b next-locked fail # it refuses
    break_at a "$point" kill
    handoff vda a b >/dev/null 2>&1 && fail "b owns what it refuses"
    wait_end "${SERVICE_PID[a]}" 20 || fail "a does not die"
    wait "${SERVICE_PID[a]}" 2>/dev/null || true # 137
    unset "SERVICE_PID[a]"
    start_service a --announce "unix:$T/a.cut" --disk "name=vda,device=$device"
    epoch=$((epoch + 2))
    clients_are_back "$epoch"
    eq "$(status_of a vda '| .role, .epoch' | xargs)" "owner $epoch" "a"
done
ledger_balances a vda
for service in b c a; do
    stop_service "$service"
done
