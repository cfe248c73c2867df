# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# lib.sh - what flow tests share. A test begins with
#     . "$(dirname "$0")/lib.sh"
#     need qemu-io
# and ends by falling off its end: the first assertion that does not hold ends it with
# status 1 and the logs of its services, need with 77. CTest sets the environment:
#     BATON_BIN_DIR    where baton and nbdkit-baton-plugin.so are
#     BATON_TOOLS_DIR  where the programs of tests/tools are
#     BATON_PRELOAD    sanitizer runtimes that nbdkit has to be started with, or empty
# Everything a test makes is below $T, which goes away with the test, like every
# service that is still running.
set -euo pipefail

if [ -z "${BATON_BIN_DIR-}" ]; then
    echo "run this test by ctest -R or scripts/test --only, or set BATON_BIN_DIR" >&2
    exit 2
fi
BATON="$BATON_BIN_DIR/baton"
TEST_NAME=$(basename "$0" .sh)
T=$(mktemp -d "${TMPDIR:-/tmp}/baton.XXXXXX")
declare -A SERVICE_PID=() # name -> pid, which is also its process group

note() {
    printf '%s: %s\n' "$TEST_NAME" "$*" >&2
}

fail() {
    note "FAILED: $*"
    exit 1
}

skip() {
    echo "SKIP: $*"
    exit 77
}

# The programs that the test cannot do without.
need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
}

# at_exit COMMAND: run it when the test ends, however it ends, before the services go.
at_exit() {
    AT_EXIT_+=("$1")
}
AT_EXIT_=()

cleanup_() {
    local status=$? name log command
    trap - EXIT
    for command in ${AT_EXIT_[@]+"${AT_EXIT_[@]}"}; do
        $command || true # the test's own status counts
    done
    for name in "${!SERVICE_PID[@]}"; do
        kill -KILL -- "-${SERVICE_PID[$name]}" 2>/dev/null || true # gone already
    done
    for name in "${!SERVICE_PID[@]}"; do
        wait "${SERVICE_PID[$name]}" 2>/dev/null || true # its status is of no interest
    done
    # What is still there waits for ever, e.g. a command at a breakpoint.
    jobs -pr | xargs -r kill 2>/dev/null || true
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        for log in "$T"/*.log; do
            if [ -s "$log" ]; then
                printf '%s\n' "--- the end of ${log##*/}" >&2
                tail -n 60 "$log" >&2
            fi
        done
    fi
    rm -rf "$T"
    exit "$status"
}
trap cleanup_ EXIT
trap 'exit 1' INT TERM HUP

## Services

# Where the service NAME listens, is controlled, and what it has logged.
socket_of() { echo "$T/$1.nbd"; }
control_of() { echo "unix:$T/$1.ctl"; }
log_of() { echo "$T/$1.log"; }
# What a client opens: uri_of NAME DISK
uri_of() { echo "nbd+unix:///$2?socket=$T/$1.nbd"; }
# Where the points of base/breakpoint.h are armed for the service NAME, or "command".
break_dir_of() { echo "$T/$1.break"; }

# start_service NAME [ARGUMENT OF baton serve]... and wait until it is ready. May be
# called again for a service that was stopped: state directory and log are kept.
start_service() {
    local name=$1
    launch_service "$@"
    wait_ready "$name"
}

# The same without waiting, for a service that has to wait for another one.
launch_service() {
    local name=$1 log
    shift
    log=$(log_of "$name")
    if [ -n "${SERVICE_PID[$name]-}" ]; then
        fail "service $name runs already"
    fi
    touch "$log"
    mkdir -p "$(break_dir_of "$name")"
    LOG_START_[$name]=$(($(wc -l <"$log") + 1))
    # A session of its own makes its pid its process group, so that what it may have
    # started ends with it.
    BATON_BREAK_DIR=$(break_dir_of "$name") LD_PRELOAD=${BATON_PRELOAD-} \
        setsid ${SERVICE_ENTER[@]+"${SERVICE_ENTER[@]}"} "$BATON" serve --name "$name" \
        --listen "unix:$(socket_of "$name")" --control "$(control_of "$name")" \
        --state-dir "$T/$name.state" "$@" >>"$log" 2>&1 </dev/null &
    SERVICE_PID[$name]=$!
}
SERVICE_ENTER=()         # what a service is started by, if anything (tests/tls/lib.sh)
declare -A LOG_START_=() # name -> first line of the log of its present life

wait_ready() {
    wait_log "$1" "baton: $1: ready" "${2-20}" || fail "service $1 does not get ready"
}

# wait_log NAME REGEX [SECONDS]: wait until the log of the service's present life has a
# matching line. Status 1 when the service ends or the time is over before.
wait_log() {
    local from tailer status=0
    exec {from}< <(exec timeout "${3-20}" tail -s 0.1 -n "+${LOG_START_[$1]}" \
        --pid="${SERVICE_PID[$1]}" -f "$(log_of "$1")" 2>/dev/null)
    tailer=$!
    grep -q -m 1 -E -- "$2" <&"$from" || status=1
    kill "$tailer" 2>/dev/null || true # it has ended if the service has
    exec {from}<&-
    return "$status"
}

# wait_end PID SECONDS: has the process ended by then?
wait_end() {
    timeout "$2" tail -s 0.05 --pid="$1" -f /dev/null
}

# stop_short SERVICE: SIGSTOP, and wait until all of its threads have stopped: until one of
# them has taken the signal the others go on, and on a busy machine they may own a disk by
# then.
stop_short() {
    local pid=${SERVICE_PID[$1]} end=$((SECONDS + 20))
    kill -STOP "$pid"
    while grep -qv 'T (stopped)' < <(grep -h '^State:' /proc/"$pid"/task/*/status); do
        [ "$SECONDS" -lt "$end" ] || fail "$1 does not stop"
        pause 0.01
    done
}

# End a service as its administrator does, and fail unless it ends well.
stop_service() {
    local pid=${SERVICE_PID[$1]} status=0
    kill -TERM "$pid"
    wait_end "$pid" 30 || fail "service $1 does not end on SIGTERM"
    wait "$pid" || status=$?
    unset "SERVICE_PID[$1]"
    eq "$status" 0 "exit status of service $1"
}

# End a service as a crash does.
kill_service() {
    local pid=${SERVICE_PID[$1]}
    kill -KILL -- "-$pid"
    wait "$pid" 2>/dev/null || true # 137
    unset "SERVICE_PID[$1]"
}

## Breakpoints

# Skips the test when the programs were built without them.
has_breakpoints() { grep -q BATON_BREAK_DIR "$BATON"; }
need_breakpoints() {
    has_breakpoints || skip "baton was built without breakpoints"
}

# The names of all points.
break_names() {
    sed -n 's/^    "\([a-z-]*\)",.*/\1/p' "${BASH_SOURCE%/*}/../../base/breakpoint.c"
}

# break_at NAME POINT ACTION: kill, stop, wait, fail; "pass" only notes that it was reached
break_at() {
    local dir
    dir=$(break_dir_of "$1")
    mkdir -p "$dir"
    rm -f "$dir/$2.hit" "$dir/$2.go"
    [ "$3" != pass ] || : >"$dir/$2.go"
    # By a rename, so that nobody reads half of it.
    echo "${3/pass/wait}" >"$dir/$2.new"
    mv "$dir/$2.new" "$dir/$2"
}
break_go() { : >"$(break_dir_of "$1")/$2.go"; }
break_is_hit() { [ -e "$(break_dir_of "$1")/$2.hit" ]; }
await_hit() { await_file "$(break_dir_of "$1")/$2.hit"; }
break_clear() { rm -rf "$(break_dir_of "$1")" && mkdir "$(break_dir_of "$1")"; }

## Commands

# The command-line tool; a command that hangs is a failure.
baton() {
    timeout -k 5 "${BATON_TIMEOUT:-60}" "$BATON" "$@"
}

# status_of NAME DISK FIELD: one field of `baton status --json`, e.g. .role
status_of() {
    baton status "$2" --at "$(control_of "$1")" --json | jq -r ".disks[0]$3"
}

# handoff DISK FROM TO [OPTION]...: prints the report as JSON
handoff() {
    local disk=$1 from=$2 to=$3
    shift 3
    baton handoff "$disk" --from "$(control_of "$from")" --to "$(control_of "$to")" \
        --json "$@"
}

# handoff_until NAME POINT: vda from a to b, in the background, until the service waits at
# the point. Sets job; what the command says is in report and why.
handoff_until() {
    break_at "$1" "$2" wait
    handoff vda a b >"$T/report" 2>"$T/why" &
    job=$!
    await_hit "$1" "$2"
}

# await_refusal: the handoff that was begun ends with 1. On a busy machine 10 s may have
# passed since the commit before it is refused; then the command leaves, with 3, and is
# joined by another one.
await_refusal() {
    local status=0
    wait "$job" || status=$?
    while [ "$status" = 3 ]; do
        note "goes on: $(cat "$T/why")"
        status=0
        handoff vda a b >"$T/report" 2>"$T/why" || status=$?
    done
    eq "$status" 1 "exit status of the handoff"
}

# start_command ARGUMENT...: baton in the background, to be killed as COMMAND_PID, with the
# breakpoints of "command"
start_command() {
    BATON_BREAK_DIR=$(break_dir_of command) "$BATON" "$@" >>"$T/command.out" \
        2>>"$T/command.err" </dev/null &
    COMMAND_PID=$!
}
# shellcheck disable=SC2034 # tests read it
COMMAND_PID=''

# channel_name RIGHT UUID EPOCH CLIENT SESSION: the export name of a channel that proves the
# right, as who was told it over control
channel_name() {
    local name="baton-channel;uuid=$2;epoch=$3;client=$4;session=$5"
    echo "$name;proof=$(printf %s "$name" | openssl dgst -sha256 -hmac "$1" -r | cut -d' ' -f1)"
}
# right_of NAME DISK: what its record says, as its owner or a client of it
right_of() { jq -r .body.disk.right "$T/$1.state/disk/$2.json"; }

# new_device NAME SIZE: an empty file to be a device; prints its path
new_device() {
    truncate -s "$2" "$T/$1.img"
    echo "$T/$1.img"
}

# loop_over FILE: sets loop, a block device over it, whose page cache is its own
loop_over() {
    [ "$(id -u)" -eq 0 ] || skip "a loop device needs root"
    loop=$(losetup --find --show "$1") || skip "no loop device here"
    at_exit "losetup --detach $loop" # for good when the services have ended
    # shellcheck disable=SC2034 # only kept open: the last one to close it would drop the cache
    exec {LOOP_OPEN_}<"$loop"
}

# loop_without_room: sets loop, a block device of 32M over a file that has room for 4M
loop_without_room() {
    [ "$(id -u)" -eq 0 ] || skip "a loop device needs root"
    mkdir "$T/small"
    mount -t tmpfs -o size=4m tmpfs "$T/small" || skip "no tmpfs can be mounted here"
    at_exit "umount --lazy $T/small" # for good when the services have ended
    truncate -s 32M "$T/small/medium"
    loop=$(losetup --find --show "$T/small/medium") || skip "no loop device here"
    at_exit "losetup --detach $loop"
}

# start_gated_device NAME SIZE [write|flush|read] [FILE]: an NBD server whose writes, or what
# is given, end only while the gate is open. It is closed at first; each that arrives there
# is told to wait_arrivals.
# device_uri NAME is what a service opens.
start_gated_device() {
    local file
    file=${4-$(new_device "$1" "$2")}
    mkfifo "$T/$1.gate" "$T/$1.arrived"
    exec {ARRIVED}<>"$T/$1.arrived"
    # CTest knows where the tools are; the plugins are beside them.
    setsid nbdkit -f -U "$T/$1.sock" -P "$T/$1.pid" -t 64 "$BATON_TOOLS_DIR/gate.so" \
        file="$file" gate="$T/$1.gate" arrived="$T/$1.arrived" what="${3-write}" \
        >"$T/$1.log" 2>&1 </dev/null &
    SERVICE_PID[$1]=$!
    await_file "$T/$1.pid"
}
device_uri() { echo "nbd+unix:///?socket=$T/$1.sock"; }
# shellcheck disable=SC2034 # only kept open
open_gate() { exec {GATE}<>"$T/$1.gate"; }

# wait_arrivals N: until N requests are at the gate of the gated device
wait_arrivals() {
    local i
    for ((i = 0; i < $1; i++)); do
        read -r -t 20 -u "$ARRIVED" _ || fail "$i of $1 requests reach the device"
    done
}

# Wait until the file is there and is not empty.
await_file() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout 20 bash -c 'mkfifo "$1.never" && until [ -s "$1" ]; do
        read -rt 0.02 <>"$1.never" || true
    done' - "$1" || fail "${1##*/} does not appear"
}

# io URI COMMAND...: commands of qemu-io, a client that is not ours; fails on an I/O
# error and on a pattern that is not there.
io() {
    local uri=$1 command out
    local -a commands=()
    shift
    for command in "$@"; do
        commands+=(-c "$command")
    done
    if ! out=$(timeout 60 qemu-io -f raw "${commands[@]}" "$uri" 2>&1) ||
        grep -qiE 'failed|error' <<<"$out"; then
        note "$out"
        return 1
    fi
}

# start_writing_vm SERVICE WRITE [OPTION OF qemu-io]...: a VM that performs WRITE and stays,
# without a flush; it reads more commands from WRITER[1]
start_writing_vm() {
    local line='' service=$1 command=$2
    shift 2
    coproc WRITER {
        exec timeout 120 stdbuf -oL qemu-io "$@" -f raw "$(uri_of "$service" vda)" 2>&1
    }
    echo "$command" >&"${WRITER[1]}"
    until [[ $line == *ops/sec* ]]; do
        read -r -t 20 line <&"${WRITER[0]}" || fail "the VM of $service does not write"
    done
}

# start_vm_to_kill SERVICE WRITE: the same, to be killed as the service "vm" is, with all that
# is in it: start_writing_vm's would leave QEMU's client, which flushes when it ends
start_vm_to_kill() {
    local line=''
    coproc VM {
        exec setsid stdbuf -oL qemu-io -t writeback -f raw "$(uri_of "$1" vda)" 2>&1
    }
    SERVICE_PID[vm]=$VM_PID
    echo "$2" >&"${VM[1]}"
    until [[ $line == *ops/sec* ]]; do
        read -r -t 20 line <&"${VM[0]}" || fail "the VM of $1 does not write"
    done
}

# start_qemu_client SERVICE: QEMU's NBD client of its disk vda, which reconnects, behind
# $QEMU_URI
start_qemu_client() {
    qemu-storage-daemon --nbd-server "addr.type=unix,addr.path=$T/qsd.sock" \
        --blockdev "driver=nbd,node-name=n,server.type=unix,server.path=$(socket_of "$1"),export=vda,reconnect-delay=60" \
        --export type=nbd,id=e,node-name=n,name=vda,writable=on \
        --pidfile "$T/qsd.pid" --daemonize
    at_exit "kill $(cat "$T/qsd.pid")"
}
# shellcheck disable=SC2034 # tests read it
QEMU_URI="nbd+unix:///vda?socket=$T/qsd.sock"

## Who owns a disk: between the services a and b

# What a read of this fifo waits for never comes: pause SECONDS, between two looks.
pause() {
    [ -p "$T/never" ] || mkfifo "$T/never"
    read -rt "$1" <>"$T/never" || true
}
pause_ms() { pause "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"; }

roles_of() { echo "$(status_of a "$1" .role) $(status_of b "$1" .role)"; }

# settle DISK WHAT: wait until one of them owns it and the other has given it away;
# sets owner and other.
# shellcheck disable=SC2034 # tests read owner and other
settle() {
    local now='' end=$((SECONDS + 40))
    while [ "$SECONDS" -lt "$end" ]; do
        now=$(roles_of "$1" 2>/dev/null) || now='no answer'
        case $now in
        "owner owner") # unless a has given it away between the two questions
            [ "$(status_of a "$1" .role)" != owner ] || fail "two owners after $2"
            ;;
        "owner given" | "owner standby") owner=a other=b && return ;;
        "given owner" | "standby owner") owner=b other=a && return ;;
        esac
        pause 0.05
    done
    fail "no owner after $2: $now"
}

# idle DISK WHAT: wait until no handoff of it is going on.
idle() {
    local end=$((SECONDS + 40))
    while [ "$SECONDS" -lt "$end" ]; do
        if [ "$(status_of a "$1" .handoff) $(status_of b "$1" .handoff)" = "null null" ]; then
            return
        fi
        pause 0.05
    done
    fail "a handoff is still going on after $2"
}

## Assertions

# eq ACTUAL EXPECTED [WHAT]
eq() {
    [ "$1" = "$2" ] || fail "${3:-value} is '$1', expected '$2'"
}

# contains TEXT FRAGMENT [WHAT]
contains() {
    [[ "$1" == *"$2"* ]] || fail "${3:-text} does not contain '$2': $1"
}

# fails_with STATUS FRAGMENT -- COMMAND...: it ends with STATUS and says FRAGMENT
fails_with() {
    local expected=$1 fragment=$2 status=0 out
    shift 3
    out=$("$@" 2>&1) || status=$?
    eq "$status" "$expected" "exit status of '$*' ($out)"
    contains "$out" "$fragment" "output of '$*'"
}

# The ledger of a disk as the service reports it adds up.
ledger_balances() {
    local ledger
    ledger=$(status_of "$1" "$2" .ledger)
    jq -e '.accepted == .local + .remote + .failed + .pending' <<<"$ledger" >/dev/null ||
        fail "ledger of $2 at $1 does not balance: $ledger"
}
