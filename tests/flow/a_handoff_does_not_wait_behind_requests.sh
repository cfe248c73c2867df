#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# While requests are held, the two threads that hand the disk over run before all others;
# before and afterwards nobody does. Without the right to it the service says so once, and
# the handoff works as well.
. "$(dirname "$0")/lib.sh"
need jq qemu-io setpriv chrt
need_breakpoints
device=$(new_device vda 16M)

# realtime_threads SERVICE: how many threads have the policy SCHED_RR (2)
realtime_threads() {
    local stat n=0
    for stat in /proc/"${SERVICE_PID[$1]}"/task/*/stat; do
        # After the name, which may have blanks: state is the 3rd field, policy the 41st.
        [ "$(sed 's/.*) //' "$stat" | cut -d' ' -f39)" != 2 ] || n=$((n + 1))
    done
    echo "$n"
}

# hand_over EXPECTED: how many there are in each service while the disk is held
hand_over() {
    start_service a --disk "name=vda,device=$device"
    start_service b --disk "name=vda,device=$device,role=standby"
    eq "$(realtime_threads a) $(realtime_threads b)" "0 0" "at rest"
    break_at a owner-flushed wait
    handoff vda a b >"$T/report" &
    local job=$!
    await_hit a owner-flushed
    eq "$(realtime_threads a) $(realtime_threads b)" "$1 $1" "while requests are held"
    io "$(uri_of a vda)" "write -P 6 0 4k" &
    local held=$!
    break_go a owner-flushed
    wait "$job" || fail "the handoff failed"
    wait "$held" || fail "the write that was held failed"
    eq "$(realtime_threads a) $(realtime_threads b)" "0 0" "afterwards"
    io "$(uri_of b vda)" "read -P 6 0 4k"
}

if chrt -r 1 true 2>/dev/null; then
    note "with the right to it"
    hand_over 1
    ! grep "real-time" "$(log_of a)" || fail "a speaks of a right that it has"
    note "a handoff that is given up"
    break_clear b
    break_at b owner-committing fail
    fails_with 1 "vda is still served by b" -- \
        baton handoff vda --from "$(control_of b)" --to "$(control_of a)"
    eq "$(realtime_threads a) $(realtime_threads b)" "0 0" "afterwards"
    stop_service a
    stop_service b
    rm -rf "$T/a.state" "$T/b.state"
    break_clear a
fi
note "without"
SERVICE_ENTER=(setpriv --bounding-set=-sys_nice)
hand_over 0
for s in a b; do
    wait_log "$s" "no right to a real-time priority" 1 || fail "$s does not say so"
    stop_service "$s"
done
