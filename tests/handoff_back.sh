# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# handoff_back.sh - for flow tests, after lib.sh: a handoff to a service that has clients
# with requests, and is therefore asked to pause them (migrate/takeover/takeover_pause.c).

need jq qemu-io
need_breakpoints

# start_pair: a has given vda to b. Sets device.
start_pair() {
    device=$(new_device vda 16M)
    start_service a --disk "name=vda,device=$device"
    start_service b --disk "name=vda,device=$device,role=standby"
    handoff vda a b >/dev/null
}

# begin_handoff_back POINT OPTION...: from b to a, in the background, while a has written
# pattern 5 at 0, until b waits at the point. Sets job; what it says is in report and why.
begin_handoff_back() {
    local point=$1
    shift
    break_at a next-preparing wait
    break_at b "$point" wait
    "$BATON" handoff vda --from "$(control_of b)" --to "$(control_of a)" --json "$@" \
        >"$T/report" 2>"$T/why" &
    # shellcheck disable=SC2034 # for the test
    job=$!
    await_hit a next-preparing
    io "$(uri_of a vda)" "write -P 5 0 4k" # this is what a has to pause
    break_go a next-preparing
    await_hit b "$point"
}
