#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The owner is a service in a VM, with a real page cache of its own. The VM is killed
# under load that comes through the host's service, and started again: what was flushed
# is on the disk. With durability=keep the load goes on and everything that was
# acknowledged is there.
# ctest: TIMEOUT 300
. "$(dirname "$0")/../flow/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/service_vm.sh"
PATH=$PATH:/sbin:/usr/sbin
need qemu-system-x86_64 busybox cpio modprobe mkfs.ext4 socat nbdkit jq
guest_kernel >/dev/null 2>&1 || skip "no kernel of linux-image-cloud-amd64 in /boot"
cuts=${BATON_CUTS:-2}
RANDOM=${BATON_SEED:-$$}

policy=,durability=keep
if "$BATON" serve --disk "name=x,device=/x$policy" 2>&1 | grep -q 'unknown key'; then
    policy=''
fi
device=$(new_device disk 32M)

start_host() {
    start_service host --disk "name=vda,device=$device$1" \
        --announce unix:/run/host.nbd
}
boot() {
    start_service_vm vm host "$device" "name=vda,device=/dev/vdb,appears-within=5s,role=standby"
}
to_vm() { handoff vda host vm --deadline 20s >>"$T/reports"; }
to_host() { # in the VM the host's control socket has another name
    baton handoff vda --from "$(control_of vm)" --to unix:/run/host.ctl --json \
        --deadline 20s >>"$T/reports"
}

start_load() { # OPTION...
    rm -f "$T/filled" "$T/stop"
    "$BATON_TOOLS_DIR/stampcheck" --uri "$(uri_of host vda)" --seconds 280 --area 4m \
        --stop-file "$T/stop" --seed "$RANDOM" --journal "$T/journal" \
        --ready-file "$T/filled" "$@" >"$T/load.log" 2>&1 &
    load=$!
    until [ -e "$T/filled" ]; do
        kill -0 "$load" || fail "stampcheck: $(cat "$T/load.log")"
        pause_ms 20
    done
}

check_device() {
    "$BATON_TOOLS_DIR/stampcheck" --verify-file "$device" --journal "$T/journal" ||
        fail "$1"
}

start_host ""
began=$SECONDS
boot
echo "the service VM has started in $((SECONDS - began)) s ($VM_ACCEL)"
to_vm
eq "$(status_of vm vda .role) $(status_of host vda .role)" "owner given" "roles"

# There and back under load, and the power of both goes.
start_load --power-cut
to_host
eq "$(status_of host vda .role)" owner "role of the host's service"
to_vm
pause_ms 1500
power_cut host vm
wait "$load" || fail "stampcheck: $(cat "$T/load.log")"
check_device "what was flushed is not on the disk"
start_host ""
boot
settle vm host "the power cut"
eq "$owner" vm "owner after the power cut"
stop_service host

if [ -n "$policy" ]; then
    start_host "$policy"
    start_load
    for ((i = 1; i <= cuts; i++)); do
        pause_ms $((500 + RANDOM % 1000))
        power_cut vm
        boot
        settle vm host "cut $i"
    done
    to_host
    touch "$T/stop"
    wait "$load" || fail "stampcheck: $(cat "$T/load.log")"
    cat "$T/load.log"
    ledger_balances host vda
    stop_service host
    check_device "what was acknowledged is not on the disk"
fi
