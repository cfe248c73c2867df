#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The record decides at a restart, whatever the options say; SIGKILL of the owner and of
# the client service are survived by a client that waits.
# ctest: LABELS flow;short
. "$(dirname "$0")/lib.sh"
need qemu-io jq
device=$(new_device vda 64M)
start_service a --disk "name=vda,device=$device"
start_service b --disk "name=vda,device=$device,role=standby"
io "$(uri_of a vda)" "write -P 1 0 1M"
handoff vda a b >/dev/null
stop_service a
start_service a --disk "name=vda,device=$device,role=owner" # the record says given
eq "$(status_of a vda .role)" given "role of a"
io "$(uri_of a vda)" "read -P 1 0 1M" "write -P 2 0 4k"
kill_service b
io "$(uri_of a vda)" "read -P 2 0 4k" & # waits for the owner
reader=$!
start_service b --disk "name=vda,device=$device,role=standby" # the record says owner
eq "$(status_of b vda .role)" owner "role of b"
wait "$reader" || fail "the request that waited for the owner failed"
handoff vda b a >/dev/null
eq "$(status_of a vda .role) $(status_of a vda .epoch)" "owner 3" "a in the end"
