#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A handoff fails and is being rolled back. An abort that comes then ends nothing any more:
# it succeeds, since nothing has changed, and what is said is still why the handoff failed.
. "$(dirname "$0")/lib.sh"
need_breakpoints
vda=$(new_device vda 4M)
start_service a --disk "name=vda,device=$vda"
start_service b --disk "name=vda,device=$vda,role=standby"
break_at a owner-drained fail
break_at a owner-cancelling wait
handoff vda a b >"$T/said" 2>&1 &
job=$!
await_hit a owner-cancelling
baton abort vda --at "$(control_of a)" >"$T/abort.said" 2>&1 &
abort=$!
until [ "$(status_of a vda .handoff_aborting)" = true ]; do
    kill -0 "$abort" || break
    pause 0.05
done
break_go a owner-cancelling
wait "$abort" || fail "the abort failed: $(<"$T/abort.said")"
! wait "$job" || fail "the handoff did not fail"
contains "$(<"$T/said")" 'drain: ' "why it failed"
contains "$(<"$T/said")" 'vda is still served by a' "what is still true"
[[ $(<"$T/said") != *'aborted on request'* ]] || fail "the abort is said to be why: $(<"$T/said")"
eq "$(status_of a vda .role)" owner "the role of a"
io "$(uri_of a vda)" "write -P 1 0 4k" "read -P 1 0 4k"
stop_service a
stop_service b
