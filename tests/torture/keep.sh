# shellcheck shell=bash
# shellcheck disable=SC2153,SC2154 # variables of scripts/torture
# SPDX-License-Identifier: BSD-3-Clause
# keep.sh - what is needed to explain a fault: a journal of what was done, and after a
# fault a folder with all there is to know. Times are those of the monotonic clock, in us,
# as in the traces of the services, the proxy's log and the trails of the loads.

# What to take off the clock of the shell to have the monotonic one; the proxy knows it.
set_clock() {
    local proxy
    proxy=$(timeout -k 1 20 "$BATON_TOOLS_DIR/cutproxy" --tell "$T/proxy.ctl" time) ||
        fail "cutproxy does not tell the time"
    CLOCK=$((${EPOCHREALTIME/[.,]/} - ${proxy#ok }))
    echo "$CLOCK" >"$T/clock"
}
CLOCK=0

did() { # WHAT...
    printf 't_us=%d round %d: %s\n' $((${EPOCHREALTIME/[.,]/} - CLOCK)) "$round" "$*" \
        >>"$T/journal.log"
}

# hang WHAT: a fault; keeps what can be known of it, and ends the run.
hang() {
    keep "$*"
    exit 1
}

keep() { # WHAT
    local why
    IS_KEPT=yes
    TORTURE_DIR=$T "$top/tests/torture/at_fault.sh" "$*"
    why=$(cat "$T/fault/why")
    [ "$why" = "$*" ] || why="$why; then: $*"
    note "FAULT in round $round (${what_now-}): $why"
    move_to_results "$why"
}

# Of what is written all the time all that there is now.
move_to_results() { # WHY
    local out=$results/fault file
    kill_loads
    rm -rf "$out"
    mv "$T/fault" "$out"
    printf '%s\n' "$1" >"$out/why"
    for file in "$T"/*.log "$T"/*.trail "$T"/*.journal "$T"/vd*.json "$reports" "$T/events" \
        "$T/samples"; do
        [ ! -s "$file" ] || cp "$file" "$out/"
    done
    timeline "$out" "$1"
    write_report "failed: $1" || true # the rest counts
    note "see $out"
}

# A run that ends in any other way before its end is a fault, too.
keep_if_not_ended() {
    if [ "$IS_KEPT" = no ]; then
        keep "scripts/torture itself has ended in the middle of a round"
    fi
}
IS_KEPT=no

# timeline FOLDER WHY: all logs in one, in the order of time; of the loads what has to do
# with a sector that WHY names, what was sent again, and their connections.
timeline() {
    local out=$1 sector=-1 log name
    [[ ! $2 =~ sector\ ([0-9]+) ]] || sector=${BASH_REMATCH[1]}
    {
        for log in "$out"/*.log; do
            name=${log##*/}
            # Lines without a time, of libraries, have that of the line before.
            awk -v name="${name%.log}" '
                {
                    if (t == "") {
                        t = 0
                    }
                    if (match($0, /t_us=[0-9]+/)) {
                        t = substr($0, RSTART + 5, RLENGTH - 5)
                    } else if ($1 ~ /^[0-9]+\.[0-9]+$/) {
                        t = sprintf("%.0f", $1 * 1e6)
                    }
                    printf "%s %s: %s\n", t, name, $0
                }' "$log"
        done
        for log in "$out"/*.trail; do
            [ -e "$log" ] || continue
            name=${log##*/}
            awk -v name="load ${name%.trail}" -v sector="$sector" '
                {
                    t = substr($1, 6)
                    split($5, range, /[=+]/)
                    if ($3 == "again" || $3 == "connected" || $3 == "broken" || $3 == "failed" ||
                        $4 == "flush" || (range[2] <= sector && sector < range[2] + range[3])) {
                        printf "%s %s: %s\n", t, name, $0
                    }
                }' "$log"
        done
    } | sort -s -n -k 1,1 >"$out/timeline"
}
