#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The device is an NBD server that dies under load. With reconnect=on the load waits and
# goes on, what it reads is right, and status says what is the matter meanwhile; while the
# process that was lost lives on, nobody goes on without it. Without, requests fail, and
# status says so too.
. "$(dirname "$0")/lib.sh"
need qemu-io jq nbdkit

start_device() { # LISTEN
    rm -f "$T/dev.pid" "$T/dev.pid.never" "$1"
    setsid nbdkit -f -U "$1" -P "$T/dev.pid" file "$T/d.img" >>"$T/dev.log" 2>&1 \
        </dev/null &
    SERVICE_PID[dev]=$!
    await_file "$T/dev.pid"
}

# await_state SERVICE STATE: what status says of the disk
await_state() {
    local end=$((SECONDS + 20))
    until [ "$(status_of "$1" vda .state)" = "$2" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "status: $(status_of "$1" vda '')"
        pause 0.05
    done
}

new_device d 16M >/dev/null
start_device "$T/dev.sock"
fails_with 2 "reconnect=on is for an NBD server on a unix socket" -- baton serve --name x \
    --listen unix:/l --control unix:/c --state-dir /s \
    --disk "name=vda,device=nbd://localhost/,reconnect=on"

note "three deaths under load"
start_service on --disk "name=vda,device=$(device_uri dev),reconnect=on"
# Requests come until the last restart: without one, nobody looks for the device.
"$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of on vda)" --seconds 120 --stop-file "$T/enough" \
    >"$T/load.log" 2>&1 &
load=$!
for i in 1 2 3; do
    pause 0.6
    kill_service dev
    await_state on device-lost
    contains "$(status_of on vda .reason)" "server of its device is gone" "reason"
    contains "$(baton status --at "$(control_of on)")" "device-lost" "the table"
    start_device "$T/dev.sock"
    await_state on open
done
: >"$T/enough"
wait "$load" || fail "stampcheck: $(cat "$T/load.log")"
eq "$(status_of on vda .ledger.failed)" 0 "requests that failed"
eq "$(grep -c "is back" "$(log_of on)")" 3 "the log"

note "it ends while nobody asks for anything"
kill_service dev
await_state on device-lost
start_device "$T/dev.sock"
io "$(uri_of on vda)" "write -P 7 0 4k" "flush" "read -P 7 0 4k"
eq "$(status_of on vda .state)" open "state"
stop_service on

note "it hangs up and lives on"
setsid "$BATON_TOOLS_DIR/cutproxy" --control "$T/ctl" \
    --route "r=$T/cut.sock:$T/dev.sock" >>"$T/proxy.log" 2>&1 </dev/null &
SERVICE_PID[proxy]=$!
await_file "$T/proxy.log"
start_service lives --disk "name=vda,device=$(device_uri cut),reconnect=on,fail-after=1s"
io "$(uri_of lives vda)" "read -P 7 0 4k"
"$BATON_TOOLS_DIR/cutproxy" --tell "$T/ctl" cut all >/dev/null
! io "$(uri_of lives vda)" "read 0 4k" || fail "it goes on"
contains "$(status_of lives vda .reason)" "${SERVICE_PID[proxy]} has not ended" "reason"
kill_service proxy
rm -f "$T/cut.sock"
kill_service dev
start_device "$T/cut.sock"
io "$(uri_of lives vda)" "read -P 7 0 4k"
stop_service lives

note "without reconnect"
start_service off --disk "name=vda,device=$(device_uri cut)"
eq "$(status_of off vda .state)" open "state"
kill_service dev
eq "$(status_of off vda .state)" device-lost "state"
contains "$(status_of off vda .reason)" "until the service is started again" "reason"
contains "$(cat "$(log_of off)")" "until the service is started again" "the log"
start_device "$T/cut.sock"
! io "$(uri_of off vda)" "read 0 4k" || fail "a read succeeds"
eq "$(status_of off vda .state)" device-lost "state"
