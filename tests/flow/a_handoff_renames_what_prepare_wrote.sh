#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# In a handoff both records are written in PREPARE, and renamed when it counts: what
# peer.prepare and peer.assign say of a disk must not differ, or the next owner writes
# its record anew, while requests are held. Each writing has a number.
. "$(dirname "$0")/lib.sh"
need qemu-io jq nbdkit
truncate -s 8M "$T/medium"
setsid nbdkit -f -U "$T/dev.sock" -P "$T/dev.pid" file "$T/medium" \
    >>"$T/dev.log" 2>&1 </dev/null &
SERVICE_PID[dev]=$!
await_file "$T/dev.pid"
file=$(new_device file 8M)

# number_of SERVICE DISK: not by jq, which rounds what is longer than 53 bits
number_of() { grep -o '"stamp": *[0-9]*' "$T/$1.state/disk/$2.json" | grep -o '[0-9]*$'; }

# gives DISK FROM TO: a handoff, in which either side writes one record
gives() {
    local from to
    from=$(number_of "$2" "$1")
    to=$(number_of "$3" "$1")
    handoff "$@" >/dev/null
    eq "$(($(number_of "$2" "$1") - from)) $(($(number_of "$3" "$1") - to))" "1 1" \
        "records that $2 and $3 wrote of $1"
}

# One disk a service: a service has one row of numbers for all of its disks.
both() {
    start_service "$1a" --disk "name=vda,device=$2"
    start_service "$1b" --disk "name=vda,device=$2,role=standby"
    io "$(uri_of "$1a" vda)" "write -P 1 0 4k"
    gives vda "$1a" "$1b"
    gives vda "$1b" "$1a"
    gives vda "$1a" "$1b"
    io "$(uri_of "$1a" vda)" "read -P 1 0 4k"
}

note "a file, in a page cache that both have"
both f "$file"
note "an NBD device, with a cache of which nobody knows"
both n "$(device_uri dev)"
note "a disk that was taken by force says so in both calls"
kill_service nb
baton recover vda --at "$(control_of na)" --take >/dev/null
start_service nb --disk "name=vda,device=$(device_uri dev),role=standby"
gives vda na nb
[ "$(status_of nb vda .forced_epoch)" -gt 0 ] || fail "nb does not know that it was taken"
io "$(uri_of na vda)" "read -P 1 0 4k"
