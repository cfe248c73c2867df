# shellcheck shell=bash
# shellcheck disable=SC2004,SC2034,SC2153,SC2154 # variables of scripts/torture
# SPDX-License-Identifier: BSD-3-Clause
# rig.sh - what scripts/torture tortures: services whose sockets for each other go through
# cutproxy, state directories on file systems that can fill up and fail, a disk on a
# device that can fail, and checked loads.

mkfifo "$T/never" # a read of it is a wait
nap() { # MILLISECONDS
    read -rt "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))" <>"$T/never" || true
}

# start_program NAME COMMAND...: ends with the test, like the services
start_program() {
    local name=$1
    shift
    setsid "$@" >>"$(log_of "$name")" 2>&1 </dev/null &
    SERVICE_PID[$name]=$!
}

# arm SERVICE POINT ACTION
arm() {
    did "$1 is to $3 at $2"
    echo "$3" >"$T/$1.break/$2"
}

crash() { # SERVICE
    did "kill $1"
    kill_service "$1"
}

await() { # TEST PATH
    local i
    for ((i = 0; i < 1000; i++)); do
        if test "$1" "$2"; then
            return
        fi
        nap 20
    done
    fail "${2##*/} does not appear"
}

## State directories

declare -a MOUNTED=()
unmount_all() {
    local m
    for m in ${MOUNTED[@]+"${MOUNTED[@]}"}; do
        umount -l "$m" || true # it was never mounted
    done
}

# A file system of 3 MiB whose writes fail while $T/NAME.eio is there.
make_state_dir() { # NAME
    local name=$1
    mkdir "$T/$name.state"
    : >"$T/$name.fs"
    start_program "$name.fsd" nbdkit -f -U "$T/$name.fs.sock" --filter=error memory 4M \
        error-pwrite=EIO error-pwrite-rate=100% error-file="$T/$name.eio"
    await -S "$T/$name.fs.sock"
    start_program "$name.fuse" nbdfuse "$T/$name.fs" "nbd+unix:///?socket=$T/$name.fs.sock"
    MOUNTED=("$T/$name.fs" ${MOUNTED[@]+"${MOUNTED[@]}"})
    await -s "$T/$name.fs"
    mkfs.ext4 -q -O ^has_journal "$T/$name.fs" 2>>"$(log_of "$name.fuse")"
    MOUNTED=("$T/$name.state" "${MOUNTED[@]}")
    mount -o loop,errors=continue "$T/$name.fs" "$T/$name.state"
    chmod 700 "$T/$name.state"
}

fill_state_dir() {
    did "fill the state directory of $1"
    dd if=/dev/zero of="$T/$1.state/filler" bs=4k >/dev/null 2>&1 || true # until full
}

## Services

declare -A LIFE=() # name -> how often it was started

# Every service finds its peers behind the proxy, and its breakpoints in a folder.
launch() {
    local name=$1 role=''
    [ "$name" = a ] || role=,role=standby
    LIFE[$name]=$((${LIFE[$name]:-0} + 1))
    did "start $name, life ${LIFE[$name]}"
    BATON_TRACE=1 launch_service "$name" --announce "unix:$T/$name.cut" \
        --disk "name=vda,device=$T/vda.img$role" \
        --disk "name=vdb,device=nbd+unix:///?socket=$T/dev.sock$role"
    echo "${SERVICE_PID[$name]}" >"$T/$name.pid"
}

runs() {
    [ -n "${SERVICE_PID[$1]-}" ] && kill -0 "${SERVICE_PID[$1]}" 2>/dev/null
}

# However it has ended, start it again.
restart() {
    if [ -n "${SERVICE_PID[$1]-}" ]; then
        did "$1 is to start again"
        kill -KILL -- "-${SERVICE_PID[$1]}" 2>/dev/null || true # it has died by itself
        wait "${SERVICE_PID[$1]}" 2>/dev/null || true
        unset "SERVICE_PID[$1]"
    fi
    launch "$1"
}

# hand DISK FROM TO [OPTION]...: through the proxy's control socket of TO
hand() {
    local disk=$1 from=$2 to=$3
    shift 3
    baton handoff "$disk" --from "$(control_of "$from")" --to "unix:$T/$to.cctl" --json "$@"
}

tell() {
    local answer
    did "proxy is told: $*"
    answer=$(timeout -k 1 20 "$BATON_TOOLS_DIR/cutproxy" --tell "$T/proxy.ctl" "$@") ||
        fail "cutproxy $*: $answer"
    did "proxy: $answer"
}

start_rig() { # SERVICE...
    local name other routes=()
    for name in "$@"; do
        routes+=(--route "$name=$T/$name.cut:$(socket_of "$name")")
        routes+=(--route "$name.ctl=$T/$name.cctl:$T/$name.ctl")
        mkdir "$T/$name.break"
        make_state_dir "$name"
    done
    start_program proxy "$BATON_TOOLS_DIR/cutproxy" --control "$T/proxy.ctl" "${routes[@]}"
    await -S "$T/proxy.ctl"
    set_clock
    new_device vda 64M >/dev/null
    new_device vdb 32M >/dev/null
    # With our guard: a killed service hangs up with replies on their way to it, and
    # nbdkit before 1.34 does not survive that.
    start_program dev env LD_PRELOAD="$BATON_BIN_DIR/baton-nbdkit-guard.so" nbdkit -f -U "$T/dev.sock" --filter=error file "$T/vdb.img" \
        error=EIO error-rate=10% error-file="$T/dev.eio"
    await -S "$T/dev.sock"
    for name in "$@"; do
        launch "$name"
        wait_ready "$name"
    done
    # Each has owned each once, so that each of them can serve them all.
    for disk in vda vdb; do
        name=$1
        for other in "${@:2}" "$1"; do
            hand "$disk" "$name" "$other" >>"$reports" || fail "the first handoffs"
            name=$other
        done
    done
}

## Loads

declare -A LOADS=()

# It gives way to what does the faults, which would be rare else on a slow machine.
start_load() { # NAME DISK SERVICE OFFSET [OPTION]...
    local name=$1
    TORTURE_PID=$$ nice -n 10 "$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of "$3" "$2")" --offset "$4" --area 4m \
        --reconnect=60 --timeout 60 --connections 2 --depth 4 --seconds 1000000 --json \
        --trail "$T/$name.trail" --at-fault "$top/tests/torture/at_fault.sh" \
        --seed "$seed" --stop-file "$T/stop" --journal "$T/$name.journal" "${@:5}" \
        >"$T/$name.json" 2>"$T/$name.load.log" &
    LOADS[$name]=$!
}

start_loads() { # SERVICE...
    local i=0 name
    for name in "$@"; do
        start_load "vda-$name" vda "$name" "$((i * 8))m"
        i=$((i + 1))
    done
    start_load vdb-a vdb a 0 --retry-errors
    start_load vdb-b vdb b 8m --retry-errors
}

loads_run() {
    local name
    for name in "${!LOADS[@]}"; do
        kill -0 "${LOADS[$name]}" 2>/dev/null || hang "load $name ended: $(cat "$T/$name.load.log")"
    done
}

stop_loads() {
    local name
    touch "$T/stop"
    for name in "${!LOADS[@]}"; do
        wait "${LOADS[$name]}" || hang "load $name: $(cat "$T/$name.load.log")"
        unset "LOADS[$name]"
    done
}

kill_loads() {
    local name
    for name in "${!LOADS[@]}"; do
        kill "${LOADS[$name]}" 2>/dev/null || true # it has ended
    done
    for name in "${!LOADS[@]}"; do
        wait "${LOADS[$name]}" 2>/dev/null || true # one that has found a fault writes its trail
        unset "LOADS[$name]"
    done
}

# Without any service.
verify_devices() {
    local journal disk
    for journal in "$T"/*.journal; do
        disk=${journal##*/}
        "$BATON_TOOLS_DIR/stampcheck" --verify-file "$T/${disk%%-*}.img" \
            --journal "$journal" >>"$T/verified" || hang "the device does not hold what ${journal##*/} says"
    done
}
