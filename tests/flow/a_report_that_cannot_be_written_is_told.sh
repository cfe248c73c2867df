#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Standard output is full or closed. A command that has only looked exits with 1; one that
# has changed something with 3, since 1 would mean that nothing changed.
. "$(dirname "$0")/lib.sh"
need jq
device=$(new_device vda 8M)
start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
a=$(control_of a) b=$(control_of b)

to_full() { # STATUS FRAGMENT COMMAND...
    local expected=$1 fragment=$2 status=0 out
    shift 2
    out=$(baton "$@" 2>&1 >/dev/full) || status=$?
    eq "$status" "$expected" "exit status of baton $* ($out)"
    eq "$out" "baton: output: $fragment" "what baton $* says"
}
looked='cannot write to standard output'
changed='it is done, but standard output cannot be written; see baton status'
to_full 1 "$looked" --help
to_full 1 "$looked" status --at "$a"
to_full 1 "$looked" status --at "$a" --json
to_full 1 "$looked" recover vda --at "$a"
to_full 3 "$changed" attach vda --at "$b" --owner "$a"
to_full 3 "$changed" handoff vda --from "$a" --to "$b"
eq "$(status_of b vda .role)" owner "role after the handoff"
to_full 3 "$changed" park vda --at "$b" --json
eq "$(status_of b vda .role)" parked "role after the park"
to_full 3 "$changed" unpark vda --at "$b"
eq "$(status_of b vda .role)" owner "role in the end"
status=0
baton status --at "$a" >&- 2>"$T/err" || status=$?
eq "$status $(cat "$T/err")" "1 baton: output: $looked" "status without standard output"
