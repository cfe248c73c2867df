#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A disk that was given away and cannot be served at the restart of who gave it, is its own
# trouble like any other: the service starts and serves the others. When it was given
# together with others, of which the next owner was told alone meanwhile, it goes the same
# way when it is well again: nobody takes back what the next owner owns.
. "$(dirname "$0")/lib.sh"
need qemu-io jq
need_breakpoints
w=$(new_device w 4M) x=$(new_device x 4M) y=$(new_device y 4M)
options=(--disk "name=w,device=$w" --disk "name=x,device=$x,vm=web")
standby=(--disk "name=x,device=$x,vm=web,role=standby"
    --disk "name=y,device=$y,vm=web,role=standby")
start_service a "${options[@]}" --disk "name=y,device=$y,vm=web"
start_service b "${standby[@]}"
io "$(uri_of a w)" "write -P 1 0 64k"
io "$(uri_of a x)" "write -P 2 0 64k"
io "$(uri_of a y)" "write -P 3 0 64k"

note "a given disk that is not what the configuration says"
handoff y a b >/dev/null
stop_service a
start_service a "${options[@]}" \
    --disk "name=y,device=$y,vm=web,uuid=00000000-0000-4000-8000-000000000000"
eq "$(status_of a y .state)" failed "state of y"
io "$(uri_of a w)" "read -P 1 0 64k" "write -P 4 0 64k"
stop_service a
start_service a "${options[@]}" --disk "name=y,device=$y,vm=web"
handoff y b a >/dev/null

note "one of two that were given at once has a damaged record at the restart"
break_at b next-assigning kill
handoff vm:web a b >"$T/report" 2>"$T/why" &
command=$!
wait_end "${SERVICE_PID[b]}" 20 || fail "b is not asked"
wait "${SERVICE_PID[b]}" || true
unset "SERVICE_PID[b]"
break_clear b
kill_service a
wait $command || true # it does not know
start_service a "${options[@]}" --disk "name=y,device=$y,vm=web" # brings the records apart
kill_service a
eq "$(jq -r .body.disk.role "$T/a.state/disk/y.json")" given "role of y"
cp "$T/a.state/disk/y.json" "$T/y.json"
sed -i 's/"epoch": /"epoch": 1/' "$T/a.state/disk/y.json"
start_service a "${options[@]}" --disk "name=y,device=$y,vm=web"
eq "$(status_of a y .state)" failed "state of y"
start_service b "${standby[@]}"
settle x "the restart of both"
eq "$owner" b "the owner of x"
idle x "the restart of both"

mv "$T/y.json" "$T/a.state/disk/y.json"
settle y "its record is well again"
eq "$owner" b "the owner of y"
idle y "its record is well again"
settle x "y came after it"
eq "$owner" b "the owner of x"
for name in a b; do
    io "$(uri_of $name x)" "read -P 2 0 64k" "write -P 5 0 64k"
    io "$(uri_of $name y)" "read -P 3 0 64k" "write -P 3 64k 64k"
    io "$(uri_of $name x)" "write -P 2 0 64k"
done
