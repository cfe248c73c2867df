#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# After a restart a path may name another disk of the same size. An owner that starts, a disk
# that is unparked and one that is taken are compared with what was there before: another
# one is refused, for that disk alone and without a write, until the right one is there or a
# person says that it is right. A crash, a reboot, another device number, a file system that
# is mounted elsewhere, and what was written in place meanwhile are no reason to refuse.
# ctest: COST 60
. "$(dirname "$0")/lib.sh"
need qemu-io jq losetup mkfs.ext4 mount
loops=()
detach() {
    umount -l "$T/fs" 2>/dev/null || true # it may not be mounted
    local loop
    for loop in "${loops[@]}"; do losetup -d "$loop" 2>/dev/null || true; done # may be gone
}
at_exit detach
attach() { # FILE: sets loop
    loop=$(losetup --find --show "$1" 2>/dev/null) || skip "no loop device can be made"
    loops+=("$loop")
}
truncate -s 64M "$T/fs.img"
mkfs.ext4 -q -F "$T/fs.img"
mkdir "$T/fs"
attach "$T/fs.img"
fs_loop=$loop
mount "$fs_loop" "$T/fs" || skip "no right to mount"

truncate -s 8M "$T/fs/file.img"
attach "$(new_device bare1 8M)"
bare=$loop
attach "$(new_device bare2 8M)"
other=$loop
ln -s "$bare" "$T/bare" # as /dev/disk/by-path does
a=(--disk "name=file,device=$T/fs/file.img" --disk "name=bare,device=$T/bare"
    --disk "name=good,device=$(new_device good 8M)")
start_service a "${a[@]}"
for disk in file bare good; do
    io "$(uri_of a "$disk")" "write -P 1 0 64k"
done

is_open() { eq "$(status_of a "$1" .state)" open "state of $1 after $2"; }
is_refused() { # DISK FRAGMENT
    eq "$(status_of a "$1" .state)" failed "state of $1"
    contains "$(status_of a "$1" .reason)" "$2" "reason of $1"
    contains "$(status_of a "$1" .reason)" "baton recover $1 --accept-device" "reason of $1"
    is_open good "another one was refused"
}

# A crash, and the file system comes back with another number.
kill_service a
umount "$T/fs"
losetup -d "$fs_loop"
attach "$(new_device in_between 1M)"
attach "$T/fs.img"
[ "$loop" != "$fs_loop" ] || fail "it has the same number"
mount "$loop" "$T/fs"
start_service a "${a[@]}"
is_open file "a crash and a new number"
is_open bare "a crash"
io "$(uri_of a file)" "read -P 1 0 64k"

# What is written in place, while nobody serves, is the administrator's business where the
# system knows the device.
stop_service a
qemu-io -f raw -c "write -P 2 0 64k" "$T/fs/file.img" >/dev/null
start_service a "${a[@]}"
is_open file "a change in place"
is_open bare "a clean stop"
io "$(uri_of a file)" "read -P 2 0 64k"

# A copy of the file, and another device without a name of its own.
stop_service a
cp "$T/fs/file.img" "$T/fs/copy.img" && mv "$T/fs/copy.img" "$T/fs/file.img"
ln -sfn "$other" "$T/bare"
sums() { sha256sum "$T/fs/file.img" "$other"; }
before=$(sums)
start_service a "${a[@]}"
is_refused file "it is inode:"
is_refused bare "other contents than when it was closed"
fails_with 1 "is not the device that this disk had" -- baton park file --at "$(control_of a)"
eq "$(sums)" "$before" "what is in the devices"
kill_service a # a second start, after a crash, has not forgotten what it knows by name
start_service a "${a[@]}"
is_refused file "it is inode:"
is_refused bare "other contents than when it was closed"
baton recover file --accept-device --at "$(control_of a)" >/dev/null
await_open() {
    local end=$((SECONDS + 20))
    until [ "$(status_of a "$1" .state)" = open ]; do
        [ "$SECONDS" -lt "$end" ] || fail "$1 is not served: $(status_of a "$1" .reason)"
        pause 0.05
    done
}
await_open file
io "$(uri_of a file)" "read -P 2 0 64k" "write -P 3 0 64k"
fails_with 1 "there is nothing to accept" -- \
    baton recover file --accept-device --at "$(control_of a)"

# The right one is served without a restart, and from then on what is written counts.
ln -sfn "$bare" "$T/bare"
await_open bare
io "$(uri_of a bare)" "read -P 1 0 64k" "write -P 4 0 8M"
kill_service a
start_service a "${a[@]}"
is_open bare "a crash after it was served again"
io "$(uri_of a bare)" "read -P 4 0 8M"

# Parked: another file is not unparked, the right one is.
baton park file --at "$(control_of a)" >/dev/null
mv "$T/fs/file.img" "$T/fs/right.img"
cp "$T/fs/right.img" "$T/fs/file.img"
fails_with 1 "is not the device that this disk had" -- baton unpark file --at "$(control_of a)"
mv "$T/fs/right.img" "$T/fs/file.img"
baton unpark file --at "$(control_of a)" >/dev/null
io "$(uri_of a file)" "read -P 3 0 64k"
baton park file --at "$(control_of a)" >/dev/null
rm "$T/fs/file.img" && truncate -s 8M "$T/fs/file.img" # reset, on purpose
baton recover file --accept-device --at "$(control_of a)" >/dev/null
baton unpark file --at "$(control_of a)" >/dev/null
io "$(uri_of a file)" "read -P 0 0 64k"
