#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two services on one host use one disk by two paths, each with a cache of its own: here a
# loop device, which somebody keeps open, and the file below it. What was written by the
# one is read by the other after a handoff, and not what it had cached before.
. "$(dirname "$0")/lib.sh"
need qemu-io jq losetup
medium=$(new_device medium 16M)
loop_over "$medium"

start_service a --disk "name=vda,device=$loop"
start_service b --disk "name=vda,device=$medium,role=standby"
io "$(uri_of a vda)" "write -P 1 0 64k" "flush" "read -P 1 0 64k"
handoff vda a b >"$T/report"
eq "$(jq .shares_cache "$T/report")" false "shares_cache"
io "$(uri_of b vda)" "read -P 1 0 64k" "write -P 2 0 64k"
handoff vda b a >"$T/report"
io "$(uri_of a vda)" "read -P 2 0 64k"
stop_service a
stop_service b
