#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Any nbdkit filter can be put on top: partition, log, rate and luks give what they give
# over any plugin. Those that change nothing are there before and after a handoff; with
# the others a service is refused as the next owner, before anything is held.
. "$(dirname "$0")/lib.sh"
need qemu-io sfdisk cryptsetup jq nbdinfo

# partition: the first one begins at 1 MiB
device=$(new_device p 64M)
printf 'start=2048,size=32768\n' | sfdisk -q "$device"
start_service a --disk "name=p,device=$device" --filter partition --filter-param partition=1
start_service b --disk "name=p,device=$device,role=standby" \
    --filter partition --filter-param partition=1
eq "$(nbdinfo --size "$(uri_of a p)")" $((32768 * 512)) "size of the partition"
io "$(uri_of a p)" "write -P 7 0 4k"
io "$(uri_of a p)" "read -P 7 0 4k" "write -P 8 4k 4k"
fails_with 1 "filter partition in front of its disks" -- handoff p a b
stop_service a
stop_service b
io "$device" "read -P 7 1M 4k" "read -P 8 1028k 4k"

# log, rate: what goes through is not changed, and the log tells it
device=$(new_device l 16M)
for service in c e; do
    start_service "$service" --filter log --filter rate \
        --filter-param "logfile=$T/$service.requests" --filter-param rate=512M \
        --disk "name=l,device=$device,role=$([ $service = c ] && echo owner || echo standby)"
done
io "$(uri_of c l)" "write -P 3 8k 4k" "read -P 3 8k 4k"
handoff l c e >/dev/null
io "$(uri_of c l)" "read -P 3 8k 4k" "write -P 4 8k 4k" "read -P 4 8k 4k"
stop_service c
stop_service e
contains "$(cat "$T/c.requests")" 'Write' "the log of requests"
io "$device" "read -P 4 8k 4k"

# luks: what is on the device is not what the client wrote
printf secret >"$T/secret"
device=$(new_device luks 10M)
# Not qemu-img: it measures the machine for the iterations, and fails on a busy one.
cryptsetup luksFormat --batch-mode --type luks1 --pbkdf-force-iterations 1000 \
    --key-file "$T/secret" "$device"
start_service d --disk "name=k,device=$device" --filter luks \
    --filter-param "passphrase=+$T/secret"
eq "$(nbdinfo --size "$(uri_of d k)")" $((8 * 1024 * 1024)) "size inside luks"
io "$(uri_of d k)" "write -P 9 0 4k" "read -P 9 0 4k"
