#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# With fencing off a delayed write lands on a newer one. What scripts/torture leaves of that
# says which write it was, when the proxy let it go, and whom the owner served then; and a
# second run beside it does not see any of it.
# ctest: TIMEOUT 300
. "$(dirname "$0")/lib.sh"
need jq nbdkit nbdfuse mkfs.ext4 gdb
[ "$(id -u)" = 0 ] || skip "only root can mount"
need_breakpoints
torture=$(dirname "$0")/../../scripts/torture

"$torture" --seconds 10 --seed 2 --only park --results "$T/beside" >"$T/beside.log" 2>&1 &
beside=$!
status=0
"$torture" --seconds 120 --seed 1 --only ghost --without-fencing --results "$T/results" \
    >"$T/torture.log" 2>&1 || status=$?
eq "$status" 1 "exit status of a run that loses a write"

fault=$T/results/fault
why=$(cat "$fault/why")
why=${why%%; then:*} # another load may have met its own meanwhile
[[ $why =~ sector\ ([0-9]+):.*found\ (zeroes|write\ ([0-9]+)) ]] || fail "which change? $why"
sector=${BASH_REMATCH[1]} seq=${BASH_REMATCH[3]}
timeline=$fault/timeline

# The old write, sent and answered (zeroes do not tell which change it was).
if [ -n "$seq" ]; then
    grep -q " sent write.* seq=$seq\$" "$timeline" || fail "the timeline lacks the old write"
    grep -q " answered write.* seq=$seq\$" "$timeline" || fail "the timeline lacks its answer"
fi
# The proxy let it go after that, among what an orphaned connection had.
awk -v sector="$sector" '/proxy: .*released with/ {
        for (i = 1; i <= NF; i++)
            if ($i ~ /^(write|trim|zeroes)$/ && split($(i + 1), range, /[+,]/) >= 2 &&
                range[1] <= sector * 512 && sector * 512 < range[1] + range[2]) found = 1
    } END { exit !found }' "$timeline" || fail "the timeline lacks the delayed write"
grep -q 'event=unanswered for=baton-channel' "$timeline" || fail "no unanswered requests"
grep -q 'event=sent-again for=baton-channel' "$timeline" || fail "no requests sent again"
grep -q 'event=session-fenced' "$timeline" || fail "no fenced session"
grep -q 'journal: .* proxy is told: hold up' "$timeline" || fail "no word of what was done"

# The state at that moment.
contains "$(cat "$fault/connections")" 'baton-channel' "the list of the proxy"
jq -e '.disks[].sessions[] | select(.epoch > 0) | .session, .in_flight' \
    "$fault"/?.status >/dev/null || fail "no session in the status"
for name in a b; do
    [ -s "$fault/$name.log" ] || fail "no log of $name"
    [ -d "$fault/$name.state" ] || fail "no records of $name"
    grep -q '^#0' "$fault/$name.stacks" || fail "no stacks of $name"
done
for disk in vda vdb; do
    [ -s "$fault/$disk.img" ] || fail "no copy of the device of $disk"
done

wait "$beside" || fail "the run beside it: $(tail -n 5 "$T/beside.log")"
contains "$(head -n 1 "$T/beside/report.md")" '0 lost, 0 hung' "the report beside it"
