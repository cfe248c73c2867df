# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154 # variables of scripts/torture
# SPDX-License-Identifier: BSD-3-Clause
# faults.sh - what is done to the rig: one function for each kind of round. Each is called
# when all is well, with what chance has drawn in r_*, and may leave anything behind but
# faults that only it could lift; scripts/torture lifts the others, starts what does not
# run, and waits until all is well again.

event() { # EVENT OUTCOME [DETAIL]
    did "$*"
    printf '%s\t%s\t%s\n' "$1" "$2" "${3-}" >>"$T/events"
}

# begin_handoff [OPTION]...: in the background, as drawn
begin_handoff() {
    did "handoff $r_disk $owner -> $other $*"
    hand "$r_disk" "$owner" "$other" "$@" >>"$reports" 2>>"$T/commands.log" &
    JOB=$!
}

handoff_runs() {
    [ -n "$JOB" ] && kill -0 "$JOB" 2>/dev/null
}

# Its outcome as the command told it; a command that does not end is a hang.
end_handoff() { # EVENT
    local status=0
    [ -n "$JOB" ] || return 0
    wait "$JOB" || status=$?
    JOB=''
    case $status in
    0) event "$1" 'done' ;;
    1) event "$1" 'refused or aborted' ;;
    3) event "$1" 'committed, not finished' ;;
    124) hang "$1: the command has not ended in ${BATON_TIMEOUT} s" ;;
    *) event "$1" "command ended with $status" ;;
    esac
    LAST_STATUS=$status
}

## Kinds of rounds

round_handoff() {
    begin_handoff
    end_handoff handoff
    if [ "$LAST_STATUS" != 0 ]; then # what the round before left may refuse one, not two
        event handoff 'refused without a fault' "$(tail -n 1 "$T/commands.log")"
        begin_handoff
        end_handoff handoff
        [ "$LAST_STATUS" = 0 ] || hang "refused twice: $(tail -n 1 "$T/commands.log")"
    fi
}

round_abort() {
    case $((r_bits % 4)) in
    0) begin_handoff --deadline 0 ;;
    1) begin_handoff --deadline 1ms ;;
    2) begin_handoff --budget 1us ;;
    3)
        begin_handoff
        nap $((r_delay % 40))
        baton abort "$r_disk" --at "$(control_of "$owner")" >/dev/null 2>&1 || true # too late
        ;;
    esac
    end_handoff abort
}

round_kill() { # at a random instant
    begin_handoff
    nap $((r_delay % 250))
    event kill "$r_whose service" "$victim"
    crash "$victim"
    nap "$r_restart"
    restart "$victim"
    RESTARTED=yes
}

round_kill_both() {
    local first=$owner second=$other
    [ $((r_bits % 2)) = 0 ] || first=$other second=$owner
    begin_handoff
    nap $((r_delay % 250))
    event kill 'both services'
    crash "$owner"
    crash "$other"
    nap "$r_restart"
    launch "$first" # it may have to wait for the other one
    nap $((r_delay * 3))
    launch "$second"
    RESTARTED=yes
}

round_kill_command() {
    begin_handoff
    nap $((r_delay % 100))
    did 'kill the command'
    kill -KILL "$JOB" 2>/dev/null || true # it has ended
    end_handoff 'kill of the command' 2>/dev/null
}

# Until the victim is at the point, dies before, or has done what there was to do.
await_hit() {
    local i
    for ((i = 0; i < 100; i++)); do
        [ ! -e "$T/$victim.break/$1.hit" ] || return 0
        runs "$victim" || return 1
        [ "$1" = owner-resumed ] || handoff_runs || return 1
        nap 20
    done
    return 1
}

# At a named point: kill, sometimes stop for a while, or fail.
round_point() {
    local action=kill options=()
    case $((r_bits % 8)) in
    0) action=stop ;;
    1) action=fail ;;
    esac
    case $r_point in
    owner-aborting | owner-cancelling | next-cancelled) options=(--deadline 0) ;;
    owner-refused | owner-relocked | owner-retaken | next-refused) fill_state_dir "$other" ;;
    owner-asks-again)
        arm "$other" next-assigning kill
        RESTARTED=yes # by lift
        ;;
    owner-resumed) arm "$victim" owner-ejected kill ;;
    esac
    arm "$victim" "$r_point" "$action"
    begin_handoff ${options[@]+"${options[@]}"}
    await_hit "$r_point" || true # told below
    if [ "$r_point" = owner-resumed ] && ! runs "$victim"; then
        event kill "$r_whose service" "$victim"
        restart "$victim"
        RESTARTED=yes
        await_hit "$r_point" || true # told below
    fi
    if [ ! -e "$T/$victim.break/$r_point.hit" ]; then
        event point 'not reached' "$r_point"
        return 0
    fi
    event point "$action" "$r_point"
    [ "$action" != fail ] || return 0
    nap "$r_restart"
    if [ "$action" = stop ]; then
        did "$victim goes on"
        kill -CONT -- "-${SERVICE_PID[$victim]}"
    else
        restart "$victim"
        RESTARTED=yes
    fi
}

round_term() {
    event stop SIGTERM "$victim"
    begin_handoff
    nap $((r_delay % 100))
    did "SIGTERM to $victim"
    kill -TERM "${SERVICE_PID[$victim]}"
    wait_end "${SERVICE_PID[$victim]}" 30 || hang "$victim does not end on SIGTERM"
    nap "$r_restart"
    restart "$victim"
    RESTARTED=yes
}

# The network of the channels or of the control connections.
round_cut() {
    local route=$victim
    [ $((r_bits % 3)) != 0 ] || route=$victim.ctl
    begin_handoff
    nap $((r_delay % 60))
    case $((r_bits / 4 % 7)) in
    0) cut_by cut "$route" ;;
    1) cut_by truncate up "$r_bytes" "$route" ;;
    2) cut_by truncate down "$r_bytes" "$route" ;;
    3) cut_by hold up "$r_restart" "$route" ;;
    4) cut_by hold down "$r_restart" "$route" ;;
    5) cut_by delay both $((r_delay / 8)) "$route" ;;
    6) # ghosts: what was sent arrives after everything was sent again
        tell hold up "$route"
        nap $((r_delay % 100))
        cut_by orphan "$route"
        nap "$r_restart"
        ;;
    esac
    if [ $((r_bits % 5)) = 0 ]; then
        cut_by close "$route"
        tell cut "$route"
        nap "$r_restart"
        tell open "$route"
    fi
    nap "$r_delay"
    tell release all
    end_handoff 'handoff with cuts'
}

# What the other service had sent to the owner comes after it was all sent again, and
# after newer writes.
round_ghost() {
    event ghost "delayed requests of a client"
    tell hold up "$owner"
    nap $((r_delay % 100 + 20))
    cut_by orphan "$owner"
    nap $((r_restart / 2 + 100))
    tell release "$owner"
    nap "$r_delay"
}

cut_by() {
    event cut "$1 ${2%%[0-9]*}" "$*"
    tell "$@"
}

round_full() {
    event 'full disk' "state of the $r_whose" "$victim"
    fill_state_dir "$victim"
    begin_handoff
    nap "$r_delay"
    rm -f "$T/$victim.state/filler"
    end_handoff 'handoff, full state directory'
}

round_eio() {
    event EIO "state of the $r_whose" "$victim"
    did "EIO in the state directory of $victim"
    touch "$T/$victim.eio"
    begin_handoff
    nap "$r_delay"
    rm -f "$T/$victim.eio"
    end_handoff 'handoff, EIO in the state directory'
}

# Only vdb is on that device; its loads expect errors.
round_device() {
    r_disk=vdb owner=${OWNER[vdb]}
    [ "$owner" != "$other" ] || pick_other
    event EIO 'device of vdb'
    did 'EIO in the device of vdb'
    touch "$T/dev.eio"
    begin_handoff
    nap $((r_delay * 2))
    rm -f "$T/dev.eio"
    end_handoff 'handoff, failing device'
}

round_park() {
    did "park $r_disk at $owner"
    baton park "$r_disk" --at "$(control_of "$owner")" >/dev/null 2>>"$T/commands.log" || {
        event park refused
        return 0
    }
    nap $((r_restart / 4))
    did "unpark $r_disk at $owner"
    baton unpark "$r_disk" --at "$(control_of "$owner")" >/dev/null 2>>"$T/commands.log" ||
        hang "$r_disk does not unpark: $(tail -n 1 "$T/commands.log")"
    event park 'done'
}
