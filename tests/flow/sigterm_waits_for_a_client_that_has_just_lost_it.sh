#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A service hands its disk over on SIGTERM. Its client has no connection left just then,
# since it was sent away, and asks where the disk is; nobody else could tell it. The
# service stays until it has asked, and the client follows.
. "$(dirname "$0")/lib.sh"
need jq qemu-io
need_breakpoints
vda=$(new_device vda 16M)
start_service heir --disk "name=vda,device=$vda,role=standby"
start_service owner --disk "name=vda,device=$vda,role=standby" \
    --handoff-on-term "$(control_of heir)"
start_service client --disk "name=vda,device=$vda"
handoff vda client owner >/dev/null
io "$(uri_of client vda)" "write -P 1 0 4k"

# A VM that stays connected, so that the client keeps its channel.
mkfifo "$T/commands"
setsid qemu-io -t writeback -f raw "$(uri_of client vda)" <"$T/commands" >"$T/vm.log" 2>&1 &
SERVICE_PID[vm]=$!
exec {COMMANDS}>"$T/commands"
tell() { # COMMAND ANSWER
    local end=$((SECONDS + 20))
    echo "$1" >&"$COMMANDS"
    until grep -q "$2" "$T/vm.log"; do
        [ "$SECONDS" -lt "$end" ] || fail "$1: $(cat "$T/vm.log")"
        pause 0.05
    done
}
tell "write -P 2 4k 4k" "wrote 4096/4096 bytes at offset 4096"

break_at heir next-serving wait
kill -TERM "${SERVICE_PID[owner]}"
await_hit heir next-serving
echo "write -P 3 8k 4k" >&"$COMMANDS" # it is sent away, and asks
wait_log owner "a channel for epoch 2 is not served here" || fail "the client does not come back"
break_go heir next-serving
wait_end "${SERVICE_PID[owner]}" 30 || fail "the owner does not end"
wait "${SERVICE_PID[owner]}" || true # as stop_service
unset "SERVICE_PID[owner]"
tell "read -P 3 8k 4k" "read 4096/4096 bytes at offset 8192"
eq "$(status_of client vda .owner)" heir "whom the client follows"
! grep -qiE 'failed|error' "$T/vm.log" || fail "the VM: $(cat "$T/vm.log")"
stop_service client
stop_service heir
