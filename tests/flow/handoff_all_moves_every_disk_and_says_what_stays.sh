#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# "handoff all" moves what the service owns, the disks of a VM at one epoch and as one
# handoff, and under load no client sees an error. What cannot go stays served, is named
# with its reason, and the exit status says that not all moved.
. "$(dirname "$0")/lib.sh"
need fio jq
to=() from=()
for name in a b; do
    for i in 1 2 3 4 5 6; do
        disk="name=d$i,device=$T/d$i.img"
        [ "$i" -gt 3 ] || disk+=",vm=w"
        [ "$name" = a ] && new_device "d$i" 16M >/dev/null && from+=(--disk "$disk")
        [ "$name" = b ] && to+=(--disk "$disk,role=standby")
    done
done
other=$(new_device other 16M)
mkfifo "$T/never" # a read of it is a wait
start_service a "${from[@]}"
start_service b "${to[@]}"
start_service c --disk "name=d1,device=$other,role=standby" "${to[@]:2:8}"
roles() {
    baton status --at "$(control_of "$1")" --json | jq -r '[.disks[].role] | join(" ")'
}
all() { # OWNER NEXT [OPTION]...
    local owner=$1 next=$2
    shift 2
    baton handoff all --from "$(control_of "$owner")" --to "$(control_of "$next")" "$@"
}

cd "$T" # fio leaves files where it runs
fio --name=x --ioengine=nbd --uri="$(uri_of a d2)" --rw=randwrite --bs=4k --iodepth=16 \
    --size=16M --verify=crc32c --verify_backlog=64 --verify_fatal=1 --time_based \
    --runtime=4 >"$T/fio.out" 2>&1 &
load=$!
end=$((SECONDS + 20))
until [ "$(status_of a d2 .ledger.local)" -gt 100 ]; do
    [ "$SECONDS" -lt "$end" ] || fail "no load"
    read -rt 0.02 <>"$T/never" || true
done
all a b --parallel 2 --json >"$T/report" || fail "handoff all: status $?"
eq "$(jq -r '[.outcome, .disks, (.handoffs | length), (.stayed | length)] | join(" ")' \
    "$T/report")" "done 6 4 0" "the report"
eq "$(roles a)" "given given given given given given" "roles of a"
eq "$(roles b)" "owner owner owner owner owner owner" "roles of b"
eq "$(jq -r '.handoffs[] | select(.target == "vm:w") | .disks | length' "$T/report")" 3 \
    "disks of w in one handoff"
wait "$load" || fail "the client saw an error: $(tail -n 5 "$T/fio.out")"

# c has another device for d1, and does not know d6.
status=0
all b c >"$T/out" 2>"$T/err" || status=$?
eq "$status" 1 "status when some stay"
contains "$(cat "$T/err")" "vm:w: prepare: "
contains "$(cat "$T/err")" "d6: prepare: "
contains "$(cat "$T/out")" "2 disks handed over"
eq "$(roles b)" "owner owner owner given given owner" "roles of b"
fails_with 2 'is allowed with the target all only' -- \
    baton handoff d6 --from "$(control_of b)" --to "$(control_of a)" --parallel 2
fails_with 2 'no disk can be called all' -- \
    baton serve --name x --listen "unix:$T/x" --control "unix:$T/x.ctl" \
    --state-dir "$T/x.state" --disk "name=all,device=$other"

# Nothing to do is done.
all a b >"$T/out" || fail "handoff all of nothing"
contains "$(cat "$T/out")" "0 disks handed over"
