#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A disk whose device could not be opened again, or would be another one, is not parked:
# that is refused before anything is held, and the disk is served as before.
. "$(dirname "$0")/lib.sh"
need qemu-io jq
device=$(new_device vda 16M)
start_service a --disk "name=vda,device=$device"
io "$(uri_of a vda)" "write -P 1 0 64k"
break_at a owner-held pass
mv "$device" "$device.away"
fails_with 1 "vda could not be unparked here: disk vda: $device: No such file" -- \
    baton park vda --at "$(control_of a)"
cp "$device.away" "$device" # the same bytes, another file
fails_with 1 "is another device now" -- baton park vda --at "$(control_of a)"
! break_is_hit a owner-held || fail "requests were held"
io "$(uri_of a vda)" "read -P 1 0 64k" "write -P 2 0 64k"
mv "$device.away" "$device"
baton park vda --at "$(control_of a)" >/dev/null
baton unpark vda --at "$(control_of a)" >/dev/null
io "$(uri_of a vda)" "read -P 2 0 64k"
