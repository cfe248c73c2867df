# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: BSD-3-Clause
# service_vm_moves.sh - after service_vm.sh: two service VMs, the host's service as their
# client under load that verifies itself, and moves of the device between the two, with
# a kill -9 of the QEMU it comes from, or of the command, at any phase.

MOVE_DISK_OPTIONS=name=vda,device=/dev/vdb,appears-within=10s,role=standby
MOVE_FILE='' # the device
declare -A LOAD_PID=() CLIENT_PID=() CLIENT_INPUT=()
CLIENT_MIB=32                         # of the disk, for each client VM
MOVE_CLIENT_VMS=${MOVE_CLIENT_VMS:-0} # how many there will be

# The device: a file system for each client VM, then room for load generators.
new_move_device() {
    local i
    MOVE_FILE=$(new_device disk $((CLIENT_MIB * MOVE_CLIENT_VMS + 32))M)
    for ((i = 0; i < MOVE_CLIENT_VMS; i++)); do
        PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -F -E "offset=$((CLIENT_MIB * i << 20))" \
            "$MOVE_FILE" "${CLIENT_MIB}M"
    done
}

# start_pair: vm1 owns vda and has its device, vm2 runs without; the client is "host".
start_pair() {
    new_move_device
    start_service host --disk "name=vda,device=$MOVE_FILE" \
        --announce unix:/run/host.nbd --peer "$(control_of vm1)" --peer "$(control_of vm2)"
    launch_service_vm vm1 host "$MOVE_FILE" "$MOVE_DISK_OPTIONS" vm2
    launch_service_vm vm2 host '' "$MOVE_DISK_OPTIONS" vm1
    await_service_vm vm1
    await_service_vm vm2
    handoff vda host vm1 --deadline 30s >/dev/null
}

other_of() { [ "$1" = vm1 ] && echo vm2 || echo vm1; }

# start_client_vm N: (from 1) its disk is a part of vda, by a connection of its own to the
# host's service. It writes files with fsync, and reads and compares them.
start_client_vm() {
    local dir=$T/client.$1
    [ -e "$T/client/guest.gz" ] || { mkdir "$T/client" && guest_build "$T/client"; }
    mkdir "$dir"
    mkfifo "$dir/console.in"
    exec {GUEST_INPUT}<>"$dir/console.in"
    GUEST_CONSOLE=$dir/console.log
    : >"$GUEST_CONSOLE"
    guest_qemu_ "$VM_ACCEL" "$T/client" '' \
        -blockdev "driver=nbd,node-name=all,server.type=unix,server.path=$(socket_of host),export=vda,reconnect-delay=600" \
        -blockdev "driver=raw,node-name=disk,offset=$((CLIENT_MIB * ($1 - 1) << 20)),size=$((CLIENT_MIB << 20)),file=all" \
        -device virtio-blk-pci,drive=disk \
        <"$dir/console.in" >"$GUEST_CONSOLE" 2>"$dir/qemu.log" &
    GUEST_PID=$!
    CLIENT_PID[$1]=$GUEST_PID CLIENT_INPUT[$1]=$GUEST_INPUT
    [ "${#CLIENT_PID[@]}" -gt 1 ] || at_exit kill_client_vms
    guest_wait '^round [1-9]' 300 || fail "client VM $1 does not write: $(tail -n 5 "$dir/qemu.log" "$GUEST_CONSOLE")"
}

# One after the other: each reads all its files once more, past its cache.
stop_client_vms() {
    local n
    for n in "${!CLIENT_PID[@]}"; do
        GUEST_PID=${CLIENT_PID[$n]} GUEST_INPUT=${CLIENT_INPUT[$n]}
        GUEST_CONSOLE=$T/client.$n/console.log
        guest_stop 300 || fail "client VM $n"
        unset "CLIENT_PID[$n]"
    done
}

kill_client_vms() {
    for GUEST_PID in ${CLIENT_PID[@]+"${CLIENT_PID[@]}"}; do
        guest_kill
    done
}

# start_load N: a client of the host's service with 4 MiB of its own behind the client VMs
start_load() {
    rm -f "$T/filled.$1"
    "$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of host vda)" --seconds 86400 \
        --area 4m --offset $((CLIENT_MIB * MOVE_CLIENT_VMS + 4 * $1))m --connections 1 --depth 2 --seed "$1" \
        --timeout 900 --stop-file "$T/stop" --ready-file "$T/filled.$1" \
        --journal "$T/journal.$1" --max-latency >"$T/load.$1.log" 2>&1 &
    LOAD_PID[$1]=$!
    until [ -e "$T/filled.$1" ]; do
        kill -0 "${LOAD_PID[$1]}" || fail "stampcheck: $(cat "$T/load.$1.log")"
        pause_ms 100
    done
}

# Everything that was acknowledged was read back, and is on the device.
stop_load() {
    local n
    : >"$T/stop"
    for n in "${!LOAD_PID[@]}"; do
        wait "${LOAD_PID[$n]}" || fail "client $n: $(cat "$T/load.$n.log")"
    done
    ledger_balances host vda
    eq "$(status_of host vda .ledger.failed)" 0 "requests that failed"
}
end_pair() {
    kill_service vm1
    kill_service vm2
    kill_service host
}

# verify_device OWNER: park, so that all is flushed, and look at the file. (The host's
# service could not take it: QEMU has locked it.)
verify_device() {
    local n
    baton park vda --at "$(control_of "$1")" --quiet --deadline 30s || fail "the last park"
    end_pair
    for n in "${!LOAD_PID[@]}"; do
        "$BATON_TOOLS_DIR/stampcheck" --verify-file "$MOVE_FILE" \
            --journal "$T/journal.$n" || fail "client $n: the device differs"
    done
}

# The VM of a service, as the command is told it.
vm_of() { echo "qmp:$(qmp_of "$1")"; }

# The command that moves the device: move_words FROM TO, in MOVE_WORDS
move_words() {
    MOVE_WORDS=(vm move-device vda --file "$MOVE_FILE" --bus "$VM_BUS"
        --from "$(control_of "$1")" --to "$(control_of "$2")"
        --from-vm "$(vm_of "$1")" --to-vm "$(vm_of "$2")"
        --deadline 30s --plug-deadline "${MOVE_PLUG_DEADLINE-60s}" --json)
}

# move FROM TO [OPTION]...: the report on standard output
move() {
    move_words "$1" "$2"
    shift 2
    BATON_TIMEOUT=300 baton "${MOVE_WORDS[@]}" "$@"
}

# Has this VM's QEMU the device?
has_device() {
    local answer
    answer=$({
        echo '{"execute":"qmp_capabilities"}'
        echo '{"execute":"qom-list","arguments":{"path":"/machine/peripheral"}}'
        pause_ms 1000
    } | socat -t 5 - "UNIX-CONNECT:$(qmp_of "$1")")
    grep -q '"name": "vda"' <<<"$answer"
}

# move_and_kill FROM TO PHASE MILLISECONDS: kill the QEMU of FROM so long after this
# phase began. Sets MOVE_STATUS and MOVE_SAID.
move_and_kill() {
    local from=$1 to=$2 phase=$3 delay=$4 line mover
    rm -f "$T/phases"
    mkfifo "$T/phases"
    move "$from" "$to" --progress >"$T/killed.json" 2>"$T/phases" &
    mover=$!
    MOVE_SAID=''
    while read -r line; do
        if [ "$line" = "vda: $phase" ]; then
            [ "$delay" -eq 0 ] || pause_ms "$delay"
            kill -KILL -- "-${SERVICE_PID[$from]}"
        fi
        [ "${line#baton: }" = "$line" ] || MOVE_SAID=$line
    done <"$T/phases"
    kill -KILL -- "-${SERVICE_PID[$from]}" 2>/dev/null || true # or it was not reached
    wait "${SERVICE_PID[$from]}" 2>/dev/null || true # 137
    unset "SERVICE_PID[$from]"
    MOVE_STATUS=0
    wait "$mover" || MOVE_STATUS=$?
}

# come_back FROM TO: the VM that was killed is started again, with the device unless the
# other one has it, as its administrator would; then the same order is given again,
# unless the disk is where it was to be. Sets MOVE_END.
come_back() {
    local from=$1 to=$2 file=$MOVE_FILE end
    has_device "$to" && file=''
    start_service_vm "$from" host "$file" "$MOVE_DISK_OPTIONS" "$to"
    end=$((SECONDS + 300)) MOVE_END=''
    until [ -n "$MOVE_END" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "no end after the kill: $(cat "$T/again.err")"
        if move "$from" "$to" >"$T/again.json" 2>"$T/again.err"; then
            MOVE_END=$(jq -r 'if .resumed then "went on" else "began anew" end' \
                "$T/again.json")
        fi
    done
    eq "$(status_of "$to" vda .role)" owner "role after the kill"
    eq "$(status_of "$from" vda .role)" given "role of the one that was killed"
}

# kill_command FROM TO PHASE MILLISECONDS [OPTION]...: kill -9 of the command itself so long
# after this phase began; its phases go on at the services, or do not. Sets MOVE_STATUS, 0 if
# it was done before. The same order again has to end it: MOVE_END says how.
kill_command() {
    local from=$1 to=$2 phase=$3 delay=$4 line mover
    shift 4
    rm -f "$T/phases"
    mkfifo "$T/phases"
    move_words "$from" "$to"
    "$BATON" "${MOVE_WORDS[@]}" --progress "$@" >"$T/killed.json" 2>"$T/phases" &
    mover=$!
    MOVE_SAID=''
    while read -r line; do
        if [ "$line" = "vda: $phase" ]; then
            [ "$delay" -eq 0 ] || pause_ms "$delay"
            kill -KILL "$mover" 2>/dev/null || true # it was done before
        fi
        [ "${line#baton: }" = "$line" ] || MOVE_SAID=$line
    done <"$T/phases"
    MOVE_STATUS=0
    wait "$mover" 2>/dev/null || MOVE_STATUS=$?
    [ "$MOVE_STATUS" -eq 0 ] || [ "$MOVE_STATUS" -eq 137 ] ||
        fail "killed in $phase + $delay ms it ended with $MOVE_STATUS: $MOVE_SAID"
    move "$from" "$to" "$@" >"$T/again.json" 2>"$T/again.err" ||
        fail "the same order after a kill in $phase + $delay ms: $(cat "$T/again.err")"
    MOVE_END=$(jq -r 'if .resumed then "went on" else "began anew" end' "$T/again.json")
    eq "$(status_of "$to" vda .role) $(status_of "$from" vda .role)" "owner given" \
        "roles after a kill in $phase + $delay ms"
    has_device "$to" || fail "$to has no device after a kill in $phase + $delay ms"
    ! has_device "$from" || fail "$from has the device after a kill in $phase + $delay ms"
}
