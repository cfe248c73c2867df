#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# --pidfile names a process that serves: there is no file before the service is ready, none
# after it has ended, and a start that is refused leaves another service's file alone, as
# does the end of a service whose successor has written its own number.
. "$(dirname "$0")/lib.sh"
pidfile=$T/pid
dev=$(new_device vda 1M)

refused_start() { # a second service of this state directory, or one without a device
    fails_with 1 "$1" -- env LD_PRELOAD="${BATON_PRELOAD-}" timeout 20 "$BATON" serve --name c \
        --listen "unix:$T/c.nbd" --control "unix:$T/c.ctl" --state-dir "$2" \
        --pidfile "$pidfile" --disk "name=vda,device=$dev"
}

start_service a --disk "name=vda,device=$dev"
refused_start "in use" "$T/c.state" # the device is
[ ! -e "$pidfile" ] || fail "a refused start leaves a pid file: $(cat "$pidfile")"
stop_service a

start_service a --pidfile "$pidfile" --disk "name=vda,device=$dev"
eq "$(cat "$pidfile")" "${SERVICE_PID[a]}" "pid file of a service that is ready"
refused_start "in use" "$T/c.state"
eq "$(cat "$pidfile")" "${SERVICE_PID[a]}" "pid file after another start was refused"
stop_service a
[ ! -e "$pidfile" ] || fail "a pid file of a service that has ended: $(cat "$pidfile")"

start_service a --pidfile "$pidfile" --disk "name=vda,device=$dev"
vdb=$(new_device vdb 1M)
start_service b --pidfile "$pidfile" --disk "name=vdb,device=$vdb"
stop_service a
eq "$(cat "$pidfile")" "${SERVICE_PID[b]}" "pid file after the one before has ended"
kill_service b
start_service b --pidfile "$pidfile" --disk "name=vdb,device=$vdb"
eq "$(cat "$pidfile")" "${SERVICE_PID[b]}" "pid file after a crash and a start"
eq "$(echo "$T"/pid*)" "$pidfile" "files that are left over"
