#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What PREPARE waits for is told: at the terminal, in status, again and again while it
# lasts. An abort is done when it says so, whatever the handoff waits for: the flush of its
# own device, one that an earlier handoff has left behind, or the next owner, whose device
# is slow. Who asks again is served or refused with a sentence.
. "$(dirname "$0")/lib.sh"
need jq nbdkit script
image=$(new_device image 4M)
start_gated_device flushes 4M flush "$image"
start_service a --disk "name=vda,device=$(device_uri flushes)"
start_service b --disk "name=vda,device=$(device_uri flushes),role=standby"
now() { status_of a vda "$1"; }
await_detail() { # FRAGMENT
    local end=$((SECONDS + 20)) detail=''
    until [[ $detail == *"$1"* ]]; do
        [ "$SECONDS" -lt "$end" ] || fail "status does not tell '$1': $(now .)"
        pause 0.02
        detail=$(now .handoff_detail)
    done
}
begin_handoff() {
    handoff vda a b >"$T/report" 2>&1 &
    MOVER=$!
}
abort_now() { # and it has ended, when it says so
    contains "$(BATON_TIMEOUT=9 baton abort vda --at "$(control_of a)")" 'vda: aborted' 'abort'
    eq "$(now '| .handoff, .role, .epoch' | xargs)" "null owner 1" "a after the abort"
    wait "$MOVER" && fail "the aborted handoff reports success"
    contains "$(cat "$T/report")" 'aborted on request; nothing changed' "the handoff"
}

# Its own flush. The terminal is told each second, though nothing new happens.
script -qfec "'$BATON' handoff vda --from '$(control_of a)' --to '$(control_of b)'" \
    "$T/screen" </dev/null >/dev/null &
terminal=$!
wait_arrivals 1
await_detail 'writing back what'
end=$((SECONDS + 20))
until [ "$(tr '\r' '\n' <"$T/screen" | grep -c 'vda: prepare (.* ms), vda: writing back')" -ge 3 ]; do
    [ "$SECONDS" -lt "$end" ] || fail "the terminal: $(cat "$T/screen")"
    pause 0.1
done
contains "$(baton status --at "$(control_of a)")" 'a handoff goes on: prepare for' "the table"
begin_handoff # attaches
await_detail 'writing back what'
abort_now
wait "$terminal" && fail "the command at the terminal reports success"

# That flush has not ended yet: the next handoff says so, and can be aborted, too.
begin_handoff
await_detail 'an earlier flush of'
abort_now

open_gate flushes
handoff vda a b >/dev/null
handoff vda b a >/dev/null
stop_service a
stop_service b

# The next owner's device is slow.
start_gated_device reads 4M read "$image"
start_service a --disk "name=vda,device=$(device_uri flushes)"
rm -rf "$T/b.state"
start_service b --disk "name=vda,device=$(device_uri reads),role=standby"
now() { status_of a vda "$1" | sed 's/^3$/1/'; } # it went there and back
begin_handoff
wait_arrivals 1
await_detail "$(control_of b) opens its device"
abort_now
BATON_TIMEOUT=9 fails_with 1 'a handoff to this service is going on' -- handoff vda a b
open_gate reads
end=$((SECONDS + 20))
until handoff vda a b >"$T/report" 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "in the end: $(cat "$T/report")"
    contains "$(cat "$T/report")" 'a handoff to this service is going on' "why not yet"
    pause 0.05
done
stop_service a
stop_service b
