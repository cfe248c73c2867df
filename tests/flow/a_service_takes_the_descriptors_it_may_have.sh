#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A soft limit of descriptors that would not do is raised to the hard one; a hard one that
# will not do is said, what it suffices for is served, and connections still get theirs.
. "$(dirname "$0")/lib.sh"
need qemu-io jq prlimit
declare -a disks=()
for ((i = 0; i < 100; i++)); do
    disks+=(--disk "name=d$i,device=$(new_device "d$i" 1M)")
done
states() { baton status --at "$(control_of a)" --json | jq -r "[.disks[] | select(.state == \"$1\")] | length"; }

SERVICE_ENTER=(prlimit --nofile=64:4096)
start_service a "${disks[@]}"
eq "$(states open)" 100 "disks that are served under a soft limit of 64"
io "$(uri_of a d99)" "write -P 1 0 4k" "read -P 1 0 4k"
stop_service a

SERVICE_ENTER=(prlimit --nofile=64:80)
start_service a "${disks[@]}"
wait_log a "100 disks with a VM each may need [0-9]+ descriptors, and the limit is 80" ||
    fail "it does not say that 80 will not do"
served=$(states open)
[ "$served" -gt 10 ] || fail "only $served disks are served with 80 descriptors"
eq "$((served + $(states failed)))" 100 "disks"
contains "$(status_of a d99 .reason)" "the limit is 80" "reason of d99"
io "$(uri_of a d0)" "write -P 2 0 4k" "read -P 2 0 4k"
