#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# baton vm move-device with bad input: one sentence, the right status, nothing changed.
. "$(dirname "$0")/lib.sh"
need jq
[ -x "$BATON_BIN_DIR/baton-vm" ] || skip "built without libvirt"
device=$(new_device vda 8M)
start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
from=$(control_of a) to=$(control_of b)
all=(--from "$from" --to "$to" --from-vm "qmp:$T/a.qmp" --to-vm "qmp:$T/b.qmp" --file "$device")

refused() { # STATUS FRAGMENT ARGUMENT...
    local status=$1 fragment=$2
    shift 2
    fails_with "$status" "$fragment" -- baton vm move-device "$@"
}
refused 2 'one DISK is expected' "${all[@]}"
refused 2 'is not the name of a disk' /dev/vda "${all[@]}"
refused 2 '--from URI is missing' vda --to "$to"
refused 2 '--to: ' vda --from "$from" --to nonsense
refused 2 '--to-vm VM is missing' vda --from "$from" --to "$to" --file "$device" --from-vm qmp:/x
refused 2 'allowed: qmp:PATH, libvirt:DOMAIN' vda --from "$from" --to "$to" --file "$device" \
    --from-vm ssh:x --to-vm qmp:/y
refused 2 'an absolute path of a socket' vda --from "$from" --to "$to" --file "$device" \
    --from-vm qmp:x --to-vm qmp:/y
refused 2 'allowed: qmp:PATH' vda --from "$from" --to "$to" --file "$device" \
    --from-vm 'libvirt:qemu:///system#' --to-vm qmp:/y
refused 2 'are the same' vda --from "$from" --to "$to" --file "$device" --from-vm qmp:/x \
    --to-vm qmp:/x
refused 2 'is not the id of a device' vda "${all[@]}" --device 0x
refused 2 'is not the id of a device' vda "${all[@]}" --device a-name-of-21-characters
refused 2 '--file is missing' vda --from "$from" --to "$to" --from-vm qmp:/x --to-vm qmp:/y
refused 2 'is not a duration' vda "${all[@]}" --plug-deadline 5
refused 2 'allowed: 1ms to 10m' vda "${all[@]}" --deadline 60m
refused 2 'TLS: /none/ca-cert.pem: No such file' vda "${all[@]}" --tls-certificates /none
refused 2 'no such option' vda "${all[@]}" --nonsense
refused 1 'No such file' vda --from "$from" --to "$to" --from-vm qmp:/x --to-vm qmp:/y --file /none
refused 1 'neither a regular file nor a block device' vda --from "$from" --to "$to" \
    --from-vm qmp:/x --to-vm qmp:/y --file /dev/null
refused 1 'this VM does not run, but its service answers' vda "${all[@]}"
refused 1 'has no disk other' other "${all[@]}"
eq "$(status_of a vda .role) $(status_of b vda .role)" "owner standby" "roles"
eq "$(status_of a vda .epoch)" 1 "epoch"
