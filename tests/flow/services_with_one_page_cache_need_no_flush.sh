#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A handoff flushes what the next owner could not see or flush itself: not between two
# services that have the same file in the same page cache, but between two machines, of
# a device that is another server's, and when the disk is parked.
. "$(dirname "$0")/lib.sh"
need qemu-io jq nbdkit
need_breakpoints # another boot id needs a build with them
truncate -s 8M "$T/medium"
setsid nbdkit -f -U "$T/dev.sock" -P "$T/dev.pid" file "$T/medium" \
    >>"$T/dev.log" 2>&1 </dev/null &
SERVICE_PID[dev]=$!
await_file "$T/dev.pid"
file=$(new_device file 8M)

# moves DISK FROM TO SHARED: the handoff says whether both have one cache; it is not
# said that anything was flushed when nothing was
moves() {
    handoff "$1" "$2" "$3" >"$T/report"
    eq "$(jq .shares_cache "$T/report")" "$4" "shares_cache of $1 from $2 to $3"
    io "$(uri_of "$3" "$1")" "read -P 1 0 4k"
}

flushed_by() { jq -r '.body.disk.flushed_by // "nobody"' "$T/$1.state/disk/$2.json"; }

note "one file on one host"
start_service a --disk "name=vda,device=$file"
start_service b --disk "name=vda,device=$file,role=standby"
io "$(uri_of a vda)" "write -P 1 0 4k"
moves vda a b true
eq "$(flushed_by b vda)" nobody "who flushed, as b knows"
moves vda b a true

note "two hosts"
stop_service b
BATON_TEST_BOOT_ID=11111111-2222-3333-4444-555555555555 \
    start_service b --disk "name=vda,device=$file,role=standby"
idle vda "the restart of b" # it asks a whether it owns the disk
moves vda a b false
eq "$(flushed_by b vda)" "$(cat /proc/sys/kernel/random/boot_id)" "who flushed, as b knows"

note "another server's device"
start_service na --disk "name=vdb,device=$(device_uri dev)"
start_service nb --disk "name=vdb,device=$(device_uri dev),role=standby"
io "$(uri_of na vdb)" "write -P 1 0 4k"
moves vdb na nb false
