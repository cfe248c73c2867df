#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# With --handoff-on-term SIGTERM first hands every disk over, the disks of a VM together.
# A service that is a client of the one that stops follows, and its VM sees no error. What
# cannot be handed over stays owned, and a second SIGTERM does not wait.
# ctest: RUN_SERIAL TRUE
. "$(dirname "$0")/lib.sh"
need fio jq qemu-io
vda=$(new_device vda 64M) vdb=$(new_device vdb 16M) vdc=$(new_device vdc 16M)
mkfifo "$T/never" # a read of it is a wait
disks() { # [OPTION]: the three disks
    local option=${1-}
    echo "--disk name=vda,device=$vda$option --disk name=vdb,vm=w,device=$vdb$option" \
        "--disk name=vdc,vm=w,device=$vdc$option"
}
# shellcheck disable=SC2046 # several words
start_heir() { start_service heir $(disks ,role=standby); }
# shellcheck disable=SC2046
start_client() { start_service client $(disks); }
# shellcheck disable=SC2046
start_owner() {
    start_service owner $(disks ,role=standby) --handoff-on-term "$(control_of heir)"
}
all_roles() {
    baton status --at "$(control_of "$1")" --json | jq -r '[.disks[].role] | join(" ")'
}

start_heir
start_owner
start_client
handoff vda client owner >/dev/null
handoff vm:w client owner >/dev/null
eq "$(all_roles owner)" "owner owner owner" "roles of owner"
cd "$T" # fio leaves files where it runs
fio --name=x --ioengine=nbd --uri="$(uri_of client vda)" --rw=randwrite --bs=4k \
    --iodepth=16 --size=64M --verify=crc32c --verify_backlog=64 --verify_fatal=1 \
    --time_based --runtime=6 >"$T/fio.out" 2>&1 &
load=$!
end=$((SECONDS + 20))
until [ "$(status_of client vda .ledger.remote)" -gt 300 ]; do
    [ "$SECONDS" -lt "$end" ] || fail "no load"
    read -rt 0.02 <>"$T/never" || true
done
# The client is slow to ask where its disk is; the owner stays until it has.
stop_short client
kill -TERM "${SERVICE_PID[owner]}"
wait_log owner 'vm:w is owned by heir now' || fail "owner hands nothing over"
read -rt 1.5 <>"$T/never" || true # what it takes to ask
kill -CONT "${SERVICE_PID[client]}"
wait_end "${SERVICE_PID[owner]}" 30 || fail "owner does not end"
wait "${SERVICE_PID[owner]}" || fail "exit status of owner: $?"
unset "SERVICE_PID[owner]"
eq "$(all_roles heir)" "owner owner owner" "roles of heir"
end=$((SECONDS + 20))
until [ "$(status_of client vda .owner)" = heir ]; do
    [ "$SECONDS" -lt "$end" ] || fail "client does not follow"
    read -rt 0.02 <>"$T/never" || true
done
wait "$load" || fail "the client saw an error: $(tail -n 5 "$T/fio.out")"
eq "$(status_of client vda .ledger.failed)" 0 "failed requests"
eq "$(jq -r .body.disk.role "$T/owner.state/disk/vdb.json")" given "vdb at owner"
# They go to heir together: one handoff, one number.
eq "$(jq -r .body.disk.handoff "$T/owner.state/disk/vdb.json")" \
    "$(jq -r .body.disk.handoff "$T/owner.state/disk/vdc.json")" "handoff of w"

# Back, and nobody to give them to: it says so, and owns them after a restart.
start_owner
handoff vda heir owner >/dev/null
handoff vm:w heir owner >/dev/null
stop_service heir
stop_service owner
contains "$(cat "$(log_of owner)")" "vm:w is not handed to" "the log of owner"
start_owner
eq "$(all_roles owner)" "owner owner owner" "roles of owner after a restart"

# A heir that does not answer is not waited for after a second SIGTERM.
start_heir
stop_short heir
kill -TERM "${SERVICE_PID[owner]}"
wait_log owner 'handing everything to' || fail "owner does not begin to hand over"
began=$SECONDS
stop_service owner # the second
[ $((SECONDS - began)) -lt 10 ] || fail "a second SIGTERM waits"
kill -KILL -- "-${SERVICE_PID[heir]}"
wait "${SERVICE_PID[heir]}" || true # 137
unset "SERVICE_PID[heir]"
start_owner
eq "$(all_roles owner)" "owner owner owner" "roles of owner in the end"
