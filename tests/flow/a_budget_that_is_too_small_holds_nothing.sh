#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Under load a handoff whose stall is predicted longer than --budget allows is refused in
# PREPARE: no request was held, the epoch is the old one, and the parts of the prediction
# are named. The same handoff with a larger budget goes on, and its report has the
# parts, whose sum is what was predicted.
. "$(dirname "$0")/lib.sh"
need fio jq
vda=$(new_device vda 64M)
mkfifo "$T/never" # a read of it is a wait
start_service a --disk "name=vda,device=$vda"
start_service b --disk "name=vda,device=$vda,role=standby"
cd "$T" # fio leaves files where it runs
fio --name=x --ioengine=nbd --uri="$(uri_of a vda)" --rw=randwrite --bs=4k --iodepth=16 \
    --size=64M --verify=crc32c --verify_backlog=64 --verify_fatal=1 --time_based \
    --runtime=5 >"$T/fio.out" 2>&1 &
load=$!
end=$((SECONDS + 20))
until [ "$(status_of a vda .ledger.local)" -gt 100 ]; do
    [ "$SECONDS" -lt "$end" ] || fail "no load"
    read -rt 0.02 <>"$T/never" || true
done
for _ in 1 2 3; do
    fails_with 1 'prepare: the predicted stall of ' -- \
        handoff vda a b --budget 1us
    eq "$(status_of a vda .role) $(status_of a vda .epoch)" "owner 1" "vda after a refusal"
    eq "$(status_of a vda .state) $(status_of a vda .queued)" "open 0" "the gate of vda"
done
handoff vda a b --budget 30s >"$T/report" || fail "handoff with a large budget"
jq -e '.predicted_us > 0 and (.predicted_us - (.forecast | add) | fabs <= 4)' "$T/report" >/dev/null ||
    fail "forecast: $(cat "$T/report")"
wait "$load" || fail "the client saw an error: $(tail -n 5 "$T/fio.out")"
