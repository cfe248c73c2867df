#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two services have one page cache, so the giver does not flush. After the commit the next
# owner dies, and comes back on another machine, where that cache is not: it refuses, the
# giver takes the disk back, and the next handoff flushes. The same when the giver was
# started again meanwhile.
. "$(dirname "$0")/lib.sh"
need qemu-io jq
need_breakpoints # another boot id needs a build with them
device=$(new_device vda 8M)
elsewhere=11111111-2222-3333-4444-555555555555
start_service a --disk "name=vda,device=$device"

# ends_at_a EPOCH: without anybody's help
ends_at_a() {
    local end=$((SECONDS + 20))
    until [ "$(status_of a vda '| .role, .epoch, .handoff' | xargs)" = "owner $1 null" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "a: $(status_of a vda '| .role, .epoch, .handoff' | xargs)"
        pause 0.05
    done
    grep -q "did not flush it" "$(log_of b)" || fail "b does not say why"
}

# commits_and_loses_b: a has given the disk to b and not told it; b is elsewhere now
commits_and_loses_b() {
    start_service b --disk "name=vda,device=$device,role=standby"
    break_clear a
    handoff_until a owner-committed
    kill_service b
}

io "$(uri_of a vda)" "write -P 1 0 4k"
note "the next owner comes back elsewhere"
commits_and_loses_b
BATON_TEST_BOOT_ID=$elsewhere start_service b --disk "name=vda,device=$device,role=standby"
break_go a owner-committed
await_refusal
ends_at_a 3
io "$(uri_of a vda)" "read -P 1 0 4k" "write -P 2 4k 4k"
handoff vda a b >"$T/report"
eq "$(jq .shares_cache "$T/report")" false "shares_cache"
handoff vda b a >"$T/report"
stop_service b

note "and the giver was started again"
commits_and_loses_b
kill_service a
wait "$job" || true # it has lost its service
break_clear a
: >"$(log_of b)"
launch_service a --disk "name=vda,device=$device"
BATON_TEST_BOOT_ID=$elsewhere start_service b --disk "name=vda,device=$device,role=standby"
wait_ready a
ends_at_a 7
io "$(uri_of a vda)" "read -P 1 0 4k" "read -P 2 4k 4k"
stop_service a
stop_service b
