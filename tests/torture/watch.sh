# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154 # variables of scripts/torture
# SPDX-License-Identifier: BSD-3-Clause
# watch.sh - is everybody well? One owner for each disk, a load that goes on, and figures
# that would show a leak.

HANG_S=60

# state NAME: "vda ROLE IDLE|BUSY vdb ROLE ..." or nothing
state() {
    timeout 10 "$BATON" status --at "$(control_of "$1")" --json 2>/dev/null |
        jq -r '[.disks // empty | sort_by(.name)[] | .name, .role, (if .handoff == null then "idle" else "busy" end)] | join(" ")'
}

# owners_of DISK STATES: the names of the owners
owners_of() {
    local line
    while read -r line; do
        [[ $line != *" $1 owner "* ]] || echo "${line%%:*}"
    done
}

all_states() {
    local name
    for name in "${services[@]}"; do
        echo "$name: $(state "$name") "
    done
}

# Wait until each disk has exactly one owner and nothing goes on; sets OWNER[disk].
declare -A OWNER=()
settle() {
    local end=$((SECONDS + HANG_S)) now name disk owners doubled=0
    while [ "$SECONDS" -lt "$end" ]; do
        loads_run
        now=$(all_states)
        OWNER=()
        for disk in vda vdb; do
            owners=$(owners_of "$disk" <<<"$now")
            case $(wc -w <<<"$owners") in
            1) OWNER[$disk]=$owners ;;
            0) ;;
            # It may have moved between the questions, but not again and again.
            *)
                doubled=$((doubled + 1))
                [ "$doubled" -lt 20 ] || hang "two owners: $now"
                ;;
            esac
        done
        if [ "${#OWNER[@]}" = 2 ] && [[ $now != *busy* ]] && [[ $now != *standby* ]] &&
            [ "$(grep -c ' vda .* vdb ' <<<"$now")" = "${#services[@]}" ]; then
            return
        fi
        nap 30
    done
    for name in "${services[@]}"; do
        runs "$name" || now="$name does not run: $(grep -e 'told to stop' "$(log_of "$name")" | tail -n 1); $now"
    done
    hang "no rest in $HANG_S s: $now"
}

# One line for each service: what it uses.
sample() {
    local name pid
    for name in "${services[@]}"; do
        pid=${SERVICE_PID[$name]}
        printf '{"s":%d,"service":"%s","life":%d,"fds":%d,"threads":%d,"rss_kb":%d}\n' \
            "$SECONDS" "$name" "${LIFE[$name]}" "$(find "/proc/$pid/fd" -type l | wc -l)" \
            "$(awk '/^Threads/ {print $2}' "/proc/$pid/status")" \
            "$(awk '/^VmRSS/ {print $2}' "/proc/$pid/status")" >>"$T/samples"
    done
}

## The report

# For each long life of a service, what it used: the most of the first and of the middle
# third, the least of the last, and the most of all.
leaks() {
    jq -s '[group_by([.service, .life])[] | select(length >= 12) | sort_by(.s) |
        (length / 3 | floor) as $n | {service: .[0].service, life: .[0].life,
        seconds: (.[-1].s - .[0].s), samples: length} +
        ([("fds", "threads", "rss_kb") as $k |
            {($k): {first: (.[:$n] | map(.[$k]) | max), middle: (.[$n:-$n] | map(.[$k]) | max),
                    last: (.[-$n:] | map(.[$k]) | min), most: (map(.[$k]) | max)}}] | add)]
        | sort_by(-.seconds) | .[:12]' "$T/samples"
}

# Something leaks when the least of the last third is above the most of what came before.
# Memory has to have had time: every thread that ever was leaves some behind for the next.
leaking() {
    jq -c '.[] | select((.seconds >= 120 and
        (.fds.last > ([.fds.first, .fds.middle] | max) + 4 or
         .threads.last > ([.threads.first, .threads.middle] | max) + 4)) or
        (.seconds >= 900 and
         .rss_kb.last > ([.rss_kb.first, .rss_kb.middle] | max) * 1.2 + 2048))' <<<"$1"
}

write_report() { # OUTCOME
    local leak_json load_json='[]'
    leak_json=$(leaks)
    load_json=$(cat "$T"/vd*-?.json 2>/dev/null | jq -s '.') || load_json='[]'
    jq -R -n --arg outcome "$1" --argjson seed "$seed" --argjson seconds "$SECONDS" \
        --argjson rounds "$round" --argjson leaks "$leak_json" --argjson loads "$load_json" \
        --argjson stalls "$(jq -s 'map(select(.outcome == "done") | .stall_us) | sort |
            if length == 0 then null else {handoffs: length, median_us: .[length / 2 | floor],
            p99_us: .[length * 0.99 | floor], max_us: .[-1]} end' "$reports" 2>/dev/null || echo null)" \
        '[inputs | split("\t") | {event: .[0], outcome: .[1], detail: .[2]}] |
        {outcome: $outcome, seed: $seed, seconds: $seconds, rounds: $rounds,
         events: (group_by([.event, .outcome]) | map({event: .[0].event, outcome: .[0].outcome, count: length})),
         points: (map(select(.event == "point")) | group_by([.detail, .outcome]) |
            map({point: .[0].detail, outcome: .[0].outcome, count: length})),
         stalls: $stalls, loads: $loads, leaks: $leaks}' "$T/events" >"$results/report.json"
    markdown_of <"$results/report.json" >"$results/report.md"
}

markdown_of() {
    jq -r '"# Torture: \(.outcome)", "",
        "Seed \(.seed), \(.seconds) s, \(.rounds) rounds.", "",
        "| event | outcome | count |", "| --- | --- | --- |",
        (.events[] | "| \(.event) | \(.outcome) | \(.count) |"), "",
        "| breakpoint | what came of it | count |", "| --- | --- | --- |",
        (.points[] | "| \(.point) | \(.outcome) | \(.count) |"), "",
        "| load | requests | reconnects | sent again | error replies | slowest |",
        "| --- | --- | --- | --- | --- | --- |",
        (.loads[] | "| \(.result) | \(.read + .write + .write_fua + .flush + .trim + .zero + .zero_no_hole) | \(.reconnects) | \(.sent_again) | \(.errors) | \(.max_us / 1000 | floor) ms |"), "",
        (.stalls // {} | "Handoffs done: \(.handoffs); stall median \(.median_us) us, p99 \(.p99_us) us, longest \(.max_us) us."), "",
        "The longest lives of services: the most of the first third, of the middle third, and the least of the last:", "",
        "| service | life | seconds | fds | threads | RSS kB |", "| --- | --- | --- | --- | --- | --- |",
        (.leaks[] | "| \(.service) | \(.life) | \(.seconds) | \(.fds.first), \(.fds.middle), \(.fds.last) | \(.threads.first), \(.threads.middle), \(.threads.last) | \(.rss_kb.first), \(.rss_kb.middle), \(.rss_kb.last) |")'
}
