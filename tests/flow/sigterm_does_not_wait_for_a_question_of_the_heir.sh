#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# On SIGTERM a service hands its disk to the one that is its client. That client owns the disk
# then and asks nobody where it is: it is not waited for. Another client is, and that is said.
. "$(dirname "$0")/lib.sh"
need jq qemu-io
vda=$(new_device vda 16M)
start_service heir --disk "name=vda,device=$vda"
start_service other --disk "name=vda,device=$vda,role=standby" --peer "$(control_of heir)"
owner() {
    start_service owner --disk "name=vda,device=$vda,role=standby" \
        --handoff-on-term "$(control_of heir)"
}
# A VM that stays connected, so that its service keeps its channel.
start_vm() { # SERVICE
    mkfifo "$T/$1.commands"
    : >"$T/$1.vm.log" # its lines are counted before the process below has opened it
    setsid qemu-io -t writeback -f raw "$(uri_of "$1" vda)" <"$T/$1.commands" >>"$T/$1.vm.log" 2>&1 &
    SERVICE_PID[vm-$1]=$!
    exec {COMMANDS}>"$T/$1.commands"
    tell "$1" 4k
}
tell() { # SERVICE OFFSET: write there
    local end=$((SECONDS + 20)) before now
    before=$(grep -c wrote "$T/$1.vm.log") || true
    echo "write $2 4k" >&"$COMMANDS"
    until now=$(grep -c wrote "$T/$1.vm.log") && [ "$now" -gt "$before" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "the VM of $1: $(cat "$T/$1.vm.log")"
        pause 0.05
    done
}
terminate() { # sets said: what it has said in its life
    stop_service owner
    eq "$(status_of heir vda .role)" owner "role of heir"
    said=$(sed -n "${LOG_START_[owner]},\$p" "$(log_of owner)")
}

owner
handoff vda heir owner >/dev/null
start_vm heir
terminate
[[ $said != *'clients have not asked'* ]] || fail "the heir is waited for: $said"
tell heir 8k

# The other client has nothing to ask before its VM does something.
baton attach vda --at "$(control_of other)" --owner "$(control_of heir)" >/dev/null
owner
handoff vda heir owner >/dev/null
start_vm other
terminate
contains "$said" 'clients have not asked yet where their disks are' "what is said"
tell other 12k
for name in heir other; do
    stop_service "$name"
done
