#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# PREPARE refuses a standby whose device is smaller, missing, another one, read-only, in
# somebody's hands or of another uuid, or the owner itself; the owner goes on as if nothing had been.
. "$(dirname "$0")/lib.sh"
need qemu-io jq
device=$(new_device vda 64M)
start_service a --disk "name=vda,device=$device"
io "$(uri_of a vda)" "write -P 1 0 64M"

refused() { # DEVICE FRAGMENT [DISK-OPTION]
    start_service b --disk "name=vda,device=$1,role=standby${3-}"
    fails_with 1 "$2" -- handoff vda a b
    fails_with 1 'nothing changed: vda is still served by a' -- handoff vda a b
    eq "$(status_of a vda .role) $(status_of a vda .epoch)" "owner 1" "role and epoch"
    io "$(uri_of a vda)" "read -P 1 0 1M"
    stop_service b
    rm -rf "$T/b.state"
}
refused "$(new_device small 32M)" 'the size is'
refused "$(new_device other 64M)" 'another device'
refused "$T/missing" 'No such file'
refused "$device" 'read-only' ',readonly=on'
refused "$device" 'another disk' ',uuid=11111111-2222-3333-4444-555555555555'
ln -s "$T/a.ctl" "$T/alias.ctl"
fails_with 1 'a.ctl is a itself' -- baton handoff vda --from "$(control_of a)" --to "$(control_of a)"
fails_with 1 'a owns it itself, at epoch 1; nothing changed' -- \
    baton handoff vda --from "$(control_of a)" --to "unix:$T/alias.ctl"
start_service b --disk "name=vdb,device=$(new_device vdb 64M)"
fails_with 1 'no disk vda' -- handoff vda a b
stop_service b
fails_with 1 'refused' -- handoff vda a b # nobody listens
