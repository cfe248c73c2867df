#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A parked disk is in nobody's hands: others may open the device; requests wait.
. "$(dirname "$0")/lib.sh"
need qemu-io jq
device=$(new_device vda 64M)
start_service a --disk "name=vda,device=$device"
io "$(uri_of a vda)" "write -P 1 0 1M"
fails_with 1 'in use' -- env LD_PRELOAD="${BATON_PRELOAD-}" "$BATON" serve --name c --listen "unix:$T/c.nbd" \
    --control "unix:$T/c.ctl" --state-dir "$T/c.state" --disk "name=vda,device=$device"
baton park vda --at "$(control_of a)" >/dev/null
eq "$(status_of a vda .role)" parked role
io "$device" "write -P 2 0 4k" # QEMU itself, on the device
io "$(uri_of a vda)" "read -P 2 0 4k" "read -P 1 4k 4k" &
reader=$!
baton unpark vda --at "$(control_of a)" >/dev/null
wait "$reader" || fail "the request that waited while the disk was parked failed"
eq "$(status_of a vda .role) $(status_of a vda .epoch)" "owner 3" "role and epoch"
fails_with 1 'not parked' -- baton unpark vda --at "$(control_of a)"
