#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A state directory that is full, or read-only, is enough for a service that need not write:
# it starts, serves what its records say, as owner and as client, and says so. What has to
# be written is refused before anything is held, and goes on when there is room again.
. "$(dirname "$0")/lib.sh"
need qemu-io jq mount
mkdir -m 0700 "$T/a.state"
mount -t tmpfs -o size=256k,mode=0700 tmpfs "$T/a.state" 2>/dev/null || skip "no right to mount"
at_exit "umount -l $T/a.state"
device=$(new_device vda 16M)
a=(--disk "name=vda,device=$device" --disk "name=two,device=$(new_device two 16M),vm=web")
b=(--disk "name=vda,device=$device,role=standby" --disk "name=two,device=$T/two.img,role=standby")
fill() { ! dd if=/dev/zero of="$T/a.state/fill" bs=4k 2>/dev/null; }
start_service a "${a[@]}"
start_service b "${b[@]}"
io "$(uri_of a vda)" "write -P 1 0 64k"

# Full, as an owner.
stop_service a
fill
break_at a owner-held pass
start_service a "${a[@]}"
contains "$(baton status --at "$(control_of a)")" "cannot be written" "status"
io "$(uri_of a vda)" "read -P 1 0 64k" "write -P 2 0 64k"
fails_with 1 "No space left" -- handoff vda a b
fails_with 1 "No space left" -- baton park vda --at "$(control_of a)"
! break_is_hit a owner-held || fail "requests were held for what could not be written"
io "$(uri_of a vda)" "read -P 2 0 64k" "write -P 3 0 64k"
rm "$T/a.state/fill"
handoff vda a b >/dev/null # without a restart
eq "$(baton status --at "$(control_of a)" --json | jq -r .state_dir_error)" null "the error"

# Full, as a client: each life is newer than the last, which it fences.
fill
for life in 4 5 6; do
    kill_service a
    start_service a "${a[@]}"
    io "$(uri_of a vda)" "read -P $((life - 1)) 0 64k" "write -P $life 0 64k" ||
        fail "life $life as a client"
done

# Read-only.
kill_service a
mount -o remount,ro "$T/a.state"
start_service a "${a[@]}"
io "$(uri_of a vda)" "read -P 6 0 64k" "write -P 7 0 64k"
io "$(uri_of a two)" "write -P 8 0 64k"
fails_with 1 "Read-only file system" -- handoff two a b
LD_PRELOAD=${BATON_PRELOAD-} fails_with 1 "another service uses it" -- timeout 20 "$BATON" serve \
    --name c --listen "unix:$T/c.nbd" --control "unix:$T/c.ctl" --state-dir "$T/a.state" \
    --disk "name=vda,device=$device"
mount -o remount,rw "$T/a.state"
rm "$T/a.state/fill"
handoff vda b a >/dev/null
handoff two a b >/dev/null
io "$(uri_of a vda)" "read -P 7 0 64k"
io "$(uri_of a two)" "read -P 8 0 64k"
