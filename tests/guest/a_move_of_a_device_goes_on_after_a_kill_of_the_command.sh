#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# kill -9 of "baton vm move-device" in each of its phases, while clients verify their data:
# the same command, given again, ends the move.
# ctest: TIMEOUT 300
. "$(dirname "$0")/../flow/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/service_vm.sh"
. "$(dirname "$0")/service_vm_moves.sh"
PATH=$PATH:/sbin:/usr/sbin
need qemu-system-x86_64 busybox cpio modprobe mkfs.ext4 socat nbdkit jq
guest_kernel >/dev/null 2>&1 || skip "no kernel of linux-image-cloud-amd64 in /boot"

start_pair
start_load 1
at=vm1
for where in "prepare 0" "park 0" "detach 0" "attach 0" "assign 0" "assign 60" \
    "assign 0 --share" "detach 0 --share"; do
    to=$(other_of "$at")
    # shellcheck disable=SC2086 # words
    kill_command "$at" "$to" $where
    note "$where: status $MOVE_STATUS; given again it $MOVE_END"
    at=$to
done
stop_load
verify_device "$at"
