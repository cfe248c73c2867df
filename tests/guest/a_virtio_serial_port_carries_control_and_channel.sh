#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A service VM without a network: control and channel between it and the host go over one
# virtio-serial port. The disk goes to the VM and back under load that verifies itself,
# while the host's end of the port is cut and opened again, with requests in flight.
# ctest: TIMEOUT 300
. "$(dirname "$0")/../flow/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/service_vm.sh"
PATH=$PATH:/sbin:/usr/sbin
need qemu-system-x86_64 busybox cpio modprobe mkfs.ext4 nbdkit jq socat
guest_kernel >/dev/null 2>&1 || skip "no kernel of linux-image-cloud-amd64 in /boot"
VM_SERIAL=on
RANDOM=${BATON_SEED:-$$}
cuts=${BATON_CUTS:-4}

device=$(new_device disk 32M)
start_service host --disk "name=vda,device=$device" --announce unix:/run/host.nbd
start_service_vm vm host "$device" "name=vda,device=/dev/vdb,appears-within=5s,role=standby"
! tr '\0' ' ' <"/proc/${SERVICE_PID[vm]}/cmdline" | grep -q netdev || fail "it has a network"
"$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of host vda)" --seconds 280 --area 4m \
    --stop-file "$T/stop" --seed "$RANDOM" --journal "$T/journal" --timeout 120 \
    --ready-file "$T/filled" --max-latency >"$T/load.log" 2>&1 &
load=$!
until [ -e "$T/filled" ]; do
    kill -0 "$load" || fail "stampcheck: $(cat "$T/load.log")"
    pause_ms 50
done

# until_owner NAME COMMAND...: until the owner is NAME, since the line may be away
until_owner() {
    local name=$1 end=$((SECONDS + 60))
    shift
    until [ "$(status_of "$name" vda .role 2>/dev/null)" = owner ]; do
        [ "$SECONDS" -lt "$end" ] || fail "$name is not the owner: $(cat "$T/move.err")"
        "$@" --json >>"$T/reports" 2>"$T/move.err" || pause_ms 50
    done
}
to_vm() { until_owner vm handoff vda host vm --deadline 20s; }
to_host() { # in the VM the host's control socket has another name
    until_owner host baton handoff vda --from "$(control_of vm)" \
        --to unix:/run/host.ctl --deadline 20s
}
cut() {
    kill_service vm-bridge
    start_serial_bridge vm host
    wait_log vm-bridge 'the other side is there' || fail "the line does not come back"
}

to_vm
pause_ms 500
to_host
for ((i = 1; i <= cuts; i++)); do
    # Once while a handoff goes on, once with the disk there and requests on their way.
    to_vm &
    mover=$!
    pause_ms $((1 + RANDOM % 900))
    cut
    wait "$mover" || fail "to the VM, cut $i"
    settle vm host "cut $i"
    pause_ms $((1 + RANDOM % 900))
    cut
    to_host
    settle host vm "cut $i, back"
done
: >"$T/stop"
wait "$load" || fail "stampcheck: $(cat "$T/load.log")"
cat "$T/load.log"
jq -c '{from, to, stall_us, phases}' <"$T/reports" | head -n 2
echo "$(grep -c 'the other side is gone' "$T/vm.log") losses were seen in the VM"
ledger_balances host vda
eq "$(status_of host vda .ledger.failed)" 0 "requests that failed"
stop_service host
"$BATON_TOOLS_DIR/stampcheck" --verify-file "$device" --journal "$T/journal" ||
    fail "the device differs"
