#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Seventy VMs leave at once for a host whose service does not answer just then: none is
# forgotten. When it answers again, each disk is owned where its VM is.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../vm_hook.sh"
need jq qemu-storage-daemon
NR=70

start() { # NAME ROLE
    local i
    local -a disks=()
    for ((i = 0; i < NR; i++)); do
        disks+=(--disk "name=d$i,device=$T/d$i.img,role=$2")
    done
    start_service "$1" --peer "$(control_of "$([ "$1" = a ] && echo b || echo a)")" \
        "${disks[@]}"
}
# all_vms SERVICE METHOD: one call for each VM, on one connection; prints the answers
all_vms() {
    local i line
    coproc CONTROL { baton proxy "$T/$1.ctl"; }
    for ((i = 0; i < NR; i++)); do
        printf '{"jsonrpc":"2.0","id":%d,"method":"%s","params":{"vm":"vm%d","uuid":"%08d-1111-2222-3333-444455556666","disks":[{"name":"d%d","socket":"%s"}]}}\n' \
            "$i" "$2" "$i" "$i" "$i" "$(socket_of "$1")" >&"${CONTROL[1]}"
        read -r -t 30 -u "${CONTROL[0]}" line || return
        echo "$line"
    done
    kill "$CONTROL_PID"
}

for ((i = 0; i < NR; i++)); do
    new_device "d$i" 1M >/dev/null
done
start a owner
start b standby
eq "$(all_vms b vm.coming | jq -r .result.disks[0].role | sort | uniq -c | xargs)" "$NR given"
mapfile -t names < <(for ((i = 0; i < NR; i++)); do echo "d$i"; done)
vm_hold b "${names[@]}"

stop_short b
all_vms a vm.gone >"$T/answers"
eq "$(jq -r 'if .error then .error.message else .result.disks[0] end' "$T/answers" |
    sort | uniq | wc -l)" "$NR" "VMs that are followed ($(grep -m1 error "$T/answers"))"
eq "$(grep -c '"error"' "$T/answers" || true)" 0 "refused"
kill -CONT "${SERVICE_PID[b]}"
end=$((SECONDS + 60))
until [ "$(baton status --at "$(control_of b)" --json |
    jq '[.disks[] | select(.role == "owner")] | length')" = "$NR" ]; do
    [ "$SECONDS" -lt "$end" ] || fail "not all disks follow"
    pause 0.2
done
vm_let_go "$HELD"
stop_service a
stop_service b
