#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The guard keeps nbdkit's read lock for a worker that takes it again for its next request
# (stack/nbdkit/entry_guard_turn.c). Where a worker does not, in an nbdkit that is not known, it
# gets back what was kept, before it waits, and nothing is kept any more. The third line
# tells that; the first, that there was something to give back.
# ctest: LABELS flow;short
. "$(dirname "$0")/lib.sh"
guard="$BATON_BIN_DIR/baton-nbdkit-guard.so"
eq "$(LD_PRELOAD=$guard "$BATON_TOOLS_DIR/unlike_nbdkit" "$T/s" | xargs)" \
    "kept free free" "the lock with the guard"
eq "$(LD_PRELOAD=$guard BATON_GUARD_NO_TURNS=1 "$BATON_TOOLS_DIR/unlike_nbdkit" \
    "$T/s2" | xargs)" "free free free" "the lock when the guard keeps no turns"
