# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# restart.sh - "campaign restart": services die at any moment, with breakpoints (preset
# torture) also at a named point of a handoff, and are started again 0.1 s later. Two
# clients note each request that takes long. Printed is how much longer one waited than it
# took until the services were ready again.
# shellcheck disable=SC2154 # campaign sets seed and kills

now_us() { echo "${EPOCHREALTIME/./}"; }

restart_service() { # NAME ROLE
    local peers=(--peer "$(control_of a)" --peer "$(control_of b)" --peer "$(control_of c)")
    launch_service "$1" --disk "name=vda,device=$device,role=$2" "${peers[@]}"
}

# Two clients, each with a part of the disk, through a and through c.
start_loads() {
    local s i=0
    for s in a c; do
        "$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of "$s" vda)" --reconnect --connections 2 \
            --depth 4 --offset $((i * 64 << 20)) --slow-file "$T/slow.$s" --seed "$seed" \
            --ready-file "$T/ready.$s" --stop-file "$T/stop" --seconds 100000 \
            --journal "$T/journal.$s" >"$T/load.$s.out" 2>&1 &
        LOADS+=($!)
        wait_file "$T/ready.$s"
        i=$((i + 1))
    done
}
declare -a LOADS=()
end_loads() {
    local load
    for load in ${LOADS[@]+"${LOADS[@]}"}; do
        kill "$load" 2>/dev/null || true # ended already
    done
}
at_exit end_loads

# Who owns the disk by its own word; waits until somebody does.
find_owner() {
    local s end=$((SECONDS + 60))
    while [ "$SECONDS" -lt "$end" ]; do
        for s in a b c; do
            if [ "$(status_of "$s" vda .role 2>/dev/null)" = owner ]; then
                owner=$s
                return
            fi
        done
        pause 0.02
    done
    fail "nobody owns the disk after $1"
}

# Begin a handoff of vda; it may fail, since its services are going to be killed.
begin_handoff() { # FROM TO
    "$BATON" handoff vda --from "$(control_of "$1")" --to "$(control_of "$2")" --quiet \
        >/dev/null 2>&1 &
    HANDOFF=$!
}
HANDOFF=''

# With breakpoints: one of the two services of the handoff that begins dies at a point that
# chance chooses. Sets at; it is "-" when the handoff does not come by there.
die_at_point() { # FROM TO
    local points end=$((SECONDS + 3)) s
    mapfile -t points < <(break_names | grep -E '^(owner|next|record|rpc)-')
    at=${points[RANDOM % ${#points[@]}]}
    case $at in
    owner-*) s=$1 ;;
    next-*) s=$2 ;;
    *) [ $((RANDOM % 2)) = 0 ] && s=$1 || s=$2 ;;
    esac
    break_at "$s" "$at" kill
    begin_handoff "$1" "$2"
    while [ "$SECONDS" -lt "$end" ] && kill -0 "$HANDOFF" 2>/dev/null &&
        kill -0 "${SERVICE_PID[$s]}" 2>/dev/null; do
        pause 0.002
    done
    break_clear "$s"
    if kill -0 "${SERVICE_PID[$s]}" 2>/dev/null; then
        at='-'
    else
        at=$s:$at dead=$s
    fi
}

# Kill some of the services and start them again. One line: its number, what was killed, from
# whom to whom the disk was on its way, where it was then, when, and when all were ready again.
one_restart() {
    local s to='' victims=() killed at='-' dead=''
    find_owner "round $1"
    if [ $((RANDOM % 4)) != 0 ]; then
        to=$(tr -d "$owner" <<<abc)
        to=${to:RANDOM % 2:1}
        if has_breakpoints; then
            die_at_point "$owner" "$to"
        else
            begin_handoff "$owner" "$to"
            pause_ms $((RANDOM % 40))
        fi
    fi
    killed=$(now_us)
    for s in a b c; do
        if [ "$s" = "$dead" ] || [ $((RANDOM % 3)) = 0 ]; then
            victims+=("$s")
        fi
    done
    [ "${#victims[@]}" -gt 0 ] || victims=("$owner")
    for s in "${victims[@]}"; do
        kill -KILL -- "-${SERVICE_PID[$s]}" 2>/dev/null || true # it has died at its point
        wait "${SERVICE_PID[$s]}" || true                       # 137
        unset "SERVICE_PID[$s]"
    done
    pause 0.1
    for s in "${victims[@]}"; do
        restart_service "$s" standby
    done
    for s in "${victims[@]}"; do
        wait_ready "$s"
    done
    printf '%s %s %s %s %s %s\n' "$1" "$(IFS=; echo "${victims[*]}")" "$owner>${to:--}" "$at" \
        "$killed" "$(now_us)" >>"$T/rounds"
    [ -z "$HANDOFF" ] || wait "$HANDOFF" || true # as above
    HANDOFF=''
    pause_ms $((1000 + RANDOM % 500)) # what waits ends; the next round is a random moment
    for s in "${LOADS[@]}"; do
        kill -0 "$s" || fail "a load has ended: $(cat "$T"/load.?.out)"
    done
}

# Each wait belongs to the round whose kill it has seen.
restart_waits() {
    cat "$T"/slow.? | sort -n | awk -v rounds="$T/rounds" '
        BEGIN { while ((getline line < rounds) > 0) {
            split(line, f, " "); n++; what[n] = f[1] " killed " f[2] " handoff " f[3] " " f[4]
            killed[n] = f[5]; ready[n] = f[6] } }
        { for (i = n; i > 0; i--) if (killed[i] < $2) break
          if (i > 0 && $2 - $1 > longest[i]) longest[i] = $2 - $1 }
        END { for (i = 1; i <= n; i++)
            print longest[i] - (ready[i] - killed[i]), longest[i] + 0, ready[i] - killed[i], what[i] }' |
        sort -n >"$T/waits"
    awk '{ printf "wait %.3f s, restart %.3f s, beyond it %.3f s: round %s %s %s %s %s %s\n", $2 / 1e6, $3 / 1e6, $1 / 1e6, $4, $5, $6, $7, $8, $9 }' \
        "$T/waits" | tail -n 10
    awk '{ w[NR] = $1; if ($2 > m) m = $2 } END {
        printf "rounds: %d; longest wait %.3f s; beyond the restart: median %.3f, p90 %.3f, longest %.3f s\n",
            NR, m / 1e6, w[int((NR + 1) / 2)] / 1e6, w[int(NR * 0.9 + 0.5)] / 1e6, w[NR] / 1e6 }' "$T/waits"
}

keep_files() {
    [ -z "$keep" ] || { mkdir -p "$keep" && cp "$T"/*.log "$T"/rounds "$T"/slow.? "$T"/waits "$keep"; } || true
}

run_restart() {
    local i s
    RANDOM=$seed
    device=$(new_device vda 256M)
    at_exit keep_files
    restart_service a owner
    restart_service b standby
    restart_service c standby
    for s in a b c; do
        wait_ready "$s"
    done
    handoff vda a c >/dev/null # now a is a client,
    handoff vda c b >/dev/null # and c too
    start_loads
    for ((i = 1; i <= kills; i++)); do
        one_restart "$i"
    done
    touch "$T/stop"
    for s in "${LOADS[@]}"; do
        wait "$s" || fail "stampcheck: $(cat "$T"/load.?.out)"
    done
    LOADS=()
    cat "$T"/load.?.out
    restart_waits
    for s in a b c; do
        ledger_balances "$s" vda
        stop_service "$s"
    done
    for s in a c; do
        "$BATON_TOOLS_DIR/stampcheck" --verify-file "$device" --journal "$T/journal.$s"
    done
}
