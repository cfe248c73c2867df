#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# An export name that is a channel's passes the layers of a disk and fences the sessions of
# the client that it names. So it has to prove the right that the owner tells over its
# control connection only: who merely reaches the NBD socket sees no more of a disk than its
# stack shows, and locks nobody out. The right changes with the owner, outlasts restarts,
# and a client whose record has none, or an old one, is told the present one.
. "$(dirname "$0")/lib.sh"
need jq qemu-io nbdinfo openssl

as() { timeout 20 nbdinfo --size "nbd+unix:///$1?socket=$(socket_of "${2-a}")"; }
# refused NAME WHY: and the owner says so in one line of its log
refused() {
    local before
    before=$(wc -l <"$(log_of a)")
    ! as "$1" >"$T/out" 2>&1 || fail "$1 is served: $(cat "$T/out")"
    eq "$(tail -n "+$((before + 1))" "$(log_of a)" | grep -c 'error: ')" 1 "lines in the log"
    contains "$(tail -n "+$((before + 1))" "$(log_of a)")" "$2" "the log of a"
}

device=$(new_device vda 16M)
start_service a --disk "name=vda,device=$device,layer=slice:offset=0:size=1M"
start_service b --disk "name=vda,device=$device,role=standby"
baton attach vda --at "$(control_of b)" --owner "$(control_of a)" >/dev/null
io "$(uri_of b vda)" "write -P 1 0 4k"
uuid=$(status_of a vda .uuid)
b_id=$(jq -r .body.id "$T/b.state/service")
eq "$(as vda)" 1048576 "what the stack shows"

note "a name without the right, or with another one"
old="baton-channel;uuid=$uuid;epoch=1;client"
refused "$old=x;session=1" "malformed channel name"
refused "$(channel_name 0123456789abcdef0123456789abcdef "$uuid" 1 x 1)" "does not prove its right"
right=$(right_of a vda)
good=$(channel_name "$right" "$uuid" 1 x 1)
refused "${good/client=x/client=y}" "does not prove its right"
refused "${good/session=1/session=2}" "does not prove its right"
eq "$(as "$good")" 16777216 "what a channel sees"
[[ $(baton status vda --at "$(control_of a)" --json) != *"$right"* ]] || fail "status tells the right"

note "nobody is locked out"
refused "$old=$b_id;session=18446744073709551615" "malformed channel name"
refused "$(channel_name "$right" "$uuid" 1 "$b_id" 18446744073709551615)" "implausible"
kill_service b
start_service b --disk "name=vda,device=$device,role=standby"
io "$(uri_of b vda)" "read -P 1 0 4k"

note "a restart changes nothing, a change of the owner does"
eq "$(right_of b vda)" "$right" "what b knows"
stop_service a
start_service a --disk "name=vda,device=$device,layer=slice:offset=0:size=1M"
eq "$(right_of a vda)" "$right" "after a restart"
io "$(uri_of b vda)" "read -P 1 0 4k"
handoff vda a b >/dev/null
[ "$(right_of b vda)" != "$right" ] || fail "the next owner has the same right"
eq "$(right_of a vda)" "$(right_of b vda)" "what a knows of b"
handoff vda b a >/dev/null
refused "$good" "a channel for epoch 1 is not served here"
refused "$(channel_name "$right" "$uuid" 3 x 1)" "does not prove its right"

note "records of before"
without_right() { # NAME
    local file="$T/$1.state/disk/vda.json" body
    body=$(jq -cS '.body | del(.disk.right)' "$file")
    jq -n --argjson body "$body" --arg sum "$(printf %s "$body" | sha256sum | cut -d' ' -f1)" \
        '{baton: 1, sha256: $sum, body: $body}' >"$file.new"
    mv "$file.new" "$file"
}
stop_service b
stop_service a
without_right a
without_right b
start_service a --disk "name=vda,device=$device,layer=slice:offset=0:size=1M"
start_service b --disk "name=vda,device=$device,role=standby"
io "$(uri_of b vda)" "read -P 1 0 4k" "write -P 2 4k 4k"
eq "$(right_of b vda)" "$(right_of a vda)" "what b has learned"
stop_service b
stop_service a
