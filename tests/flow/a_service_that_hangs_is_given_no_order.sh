#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The process of a service is stopped: its socket takes connections, and nobody answers.
# Commands say so within their time and exit with 1, and what they were to ask does not
# happen when the service runs again.
. "$(dirname "$0")/lib.sh"
need jq
device=$(new_device vda 8M)
start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
at=$(control_of a)

stop_short a
says="cannot reach the service at $at: no answer; it hangs or is stopped"
pids=()
command_fails() {
    local status=0
    baton "$@" --json >"$T/$1.out" 2>"$T/$1.err" || status=$?
    eq "$status" 1 "exit status of baton $1"
    contains "$(cat "$T/$1.err")" "baton: $1: $says" "baton $1"
    jq -e '.error.code == 1 and .error.errno == "ETIMEDOUT"' "$T/$1.out" >/dev/null ||
        fail "baton $1 --json: $(cat "$T/$1.out")"
}
command_fails handoff vda --from "$at" --to "$(control_of b)" & pids+=($!)
command_fails park vda --at "$at" & pids+=($!)
command_fails recover vda --at "$at" --take & pids+=($!)
command_fails attach vda --at "$at" & pids+=($!)
command_fails status --at "$at" & pids+=($!)
for pid in "${pids[@]}"; do
    wait "$pid" || fail "a command did not fail as it should"
done
kill -CONT "${SERVICE_PID[a]}"
eq "$(status_of a vda .role) $(status_of a vda .epoch)" "owner 1" "role and epoch"
handoff vda a b >/dev/null
eq "$(status_of b vda .role) $(status_of b vda .epoch)" "owner 2" "role and epoch"
