#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two disks were given at once to a service that died before it could say whether it
# owns them. The old owner goes on asking; recover names the state, refuses to take one
# disk without the other, takes both with one commit while requests are held, and a take
# that fails leaves everything, the asking too, as it was.
. "$(dirname "$0")/lib.sh"
need qemu-io jq
x=$(new_device x 4M) y=$(new_device y 4M)
options=(--disk "name=x,device=$x,vm=web" --disk "name=y,device=$y,vm=web")
standby=(--disk "name=x,device=$x,vm=web,role=standby"
    --disk "name=y,device=$y,vm=web,role=standby")
start_service a "${options[@]}"
start_service b "${standby[@]}"
ctl=$(control_of a)

recovered() {
    baton recover vm:web --at "$ctl" --json | jq -rc "[.disks[]$1]"
}

io "$(uri_of a x)" "write -P 1 0 1M"
io "$(uri_of a y)" "write -P 2 0 1M"
handoff vm:web a b >/dev/null
stop_service a
kill_service b
start_service a "${options[@]}" # goes on asking b, which is gone
eq "$(recovered .state)" '["next-owner-silent","next-owner-silent"]' "states"
eq "$(recovered .here.asking)" '[true,true]' "asking"
fails_with 1 "baton recover vm:web --take" -- baton recover x --at "$ctl" --take

note "a device that is missing: nothing changes"
mv "$y" "$y.away"
eq "$(recovered .state)" '["next-owner-silent","device-missing"]' "states"
fails_with 1 device-missing -- baton recover vm:web --at "$ctl" --take
eq "$(recovered .here.asking)" '[true,true]' "asking"
truncate -s 8M "$y"
eq "$(recovered .state)" '["next-owner-silent","device-differs"]' "states"
fails_with 1 device-differs -- baton recover vm:web --at "$ctl" --take
mv "$y.away" "$y"

note "a record that cannot be written: the asking goes on"
mkdir "$T/a.state/group.json" # in the way of the rename
fails_with 1 "group.json" -- baton recover vm:web --at "$ctl" --take
rmdir "$T/a.state/group.json"
eq "$(recovered '| .here.asking, .here.role')" '[true,"given",true,"given"]' "after it"

note "both at once, under a read that waits"
io "$(uri_of a y)" "read -P 2 0 1M" &
reader=$!
baton recover vm:web --at "$ctl" --take
wait "$reader" || fail "the read that waited failed"
eq "$(recovered '| .here.role, .here.epoch')" '["owner",4,"owner",4]' "after the take"
io "$(uri_of a x)" "read -P 1 0 1M" "write -P 3 0 4k"

note "the service that never answered is the next owner like any other"
start_service b "${standby[@]}"
eq "$(status_of b x '| .role, .state' | xargs)" "standby superseded" "b"
handoff vm:web a b >/dev/null
eq "$(status_of b x '| .role, .epoch' | xargs)" "owner 5" "b"
io "$(uri_of b x)" "read -P 3 0 4k"
