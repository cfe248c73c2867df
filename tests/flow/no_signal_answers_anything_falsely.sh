#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# No signal that a service may get makes it answer a request with an error: those that mean
# "stop" end its connections as SIGTERM does, SIGHUP and those without a meaning change
# nothing. QEMU's client (reconnect-delay) reads and writes meanwhile.
. "$(dirname "$0")/lib.sh"
need fio qemu-storage-daemon jq
device=$(new_device vda 64M)
start_service a --disk "name=vda,device=$device"
start_qemu_client a
cd "$T" # fio leaves files where it runs
fio --name=x --ioengine=nbd --uri="$QEMU_URI" --rw=randwrite \
    --bs=4k --iodepth=16 --size=64M --verify=crc32c --verify_backlog=64 --verify_fatal=1 \
    --time_based --runtime=300 >"$T/fio.out" 2>&1 &
load=$!
accepted() { status_of a vda .ledger.accepted; }

# until the client has been answered 300 times more
await_load() {
    local from now end=$((SECONDS + 20))
    from=$(accepted)
    until now=$(accepted) && [ "$now" -gt $((from + 300)) ]; do
        kill -0 "$load" 2>/dev/null || fail "$1: the client ended: $(tail -n 5 "$T/fio.out")"
        [ "$SECONDS" -lt "$end" ] || fail "$1: no load"
    done
}

await_load "at first"
for signal in HUP USR1 USR2 ALRM VTALRM PROF IO PWR PIPE STKFLT XFSZ; do
    kill "-$signal" "${SERVICE_PID[a]}"
done
wait_log a "SIGHUP: there is nothing to reload" || fail "SIGHUP ends the service in silence"
await_load "after signals without a meaning"
for signal in QUIT INT; do
    kill "-$signal" "${SERVICE_PID[a]}"
    wait_end "${SERVICE_PID[a]}" 30 || fail "the service does not end on SIG$signal"
    wait "${SERVICE_PID[a]}" || fail "exit status $? after SIG$signal"
    unset "SERVICE_PID[a]"
    start_service a --disk "name=vda,device=$device"
    await_load "after SIG$signal"
done
kill -INT "$load"
wait "$load" || true # it was interrupted; what it saw is in its report
grep -q 'err= 0:' "$T/fio.out" || fail "the client saw an error: $(cat "$T/fio.out")"
eq "$(status_of a vda .ledger.failed)" 0 "failed requests"
