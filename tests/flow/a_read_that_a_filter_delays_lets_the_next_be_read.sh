#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A filter may wait between nbdkit's read lock and the plugin, where nothing says so to
# the guard (stack/nbdkit/entry_guard_turn.c): with filters no turn is kept. Sixteen reads that
# are delayed by four seconds each take four, and not sixty-four, one after another.
. "$(dirname "$0")/lib.sh"
need fio jq
start_service a --disk "name=vda,device=$(new_device vda 64M)" \
    --filter delay --filter-param rdelay=4
cd "$T" # fio leaves files where it runs
timeout 40 fio --name=x --thread --ioengine=nbd --uri="$(uri_of a vda)" --rw=read \
    --bs=4k --iodepth=16 --size=64k >/dev/null || fail "the reads waited for each other"
eq "$(status_of a vda .ledger.accepted)" 16 "reads"
