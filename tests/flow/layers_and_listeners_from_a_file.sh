#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A configuration file with layers: the slice is where the partition is, the limit
# limits, both survive a handoff; several listeners serve the same disks.
. "$(dirname "$0")/lib.sh"
need qemu-io sfdisk jq nbdinfo
device=$(new_device vda 64M)
printf 'start=2048,size=32768\n' | sfdisk -q "$device"
for service in a b; do
    cat >"$T/$service.conf" <<END
listen = [ "unix:$T/$service.second" ];
disks = ( { name = "vda"; device = "$device"; vm = "web";
            description = "the first of web";
            role = "$([ $service = a ] && echo owner || echo standby)";
            layers = [ "slice:partition=1", "limit:iops=5000" ]; } );
END
    start_service "$service" --config "$T/$service.conf"
done
eq "$(nbdinfo --size "$(uri_of a vda)")" $((32768 * 512)) "size of the slice"
contains "$(nbdinfo --list "nbd+unix:///?socket=$T/a.second")" 'the first of web' exports
io "$(uri_of a vda)" "write -P 7 0 4k"
handoff vm:web a b >/dev/null
io "nbd+unix:///vda?socket=$T/a.second" "read -P 7 0 4k" "write -P 8 4k 4k"
io "$(uri_of b vda)" "read -P 8 4k 4k"
stop_service a
stop_service b
io "$device" "read -P 7 1M 4k" "read -P 8 1028k 4k"
