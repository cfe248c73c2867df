#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a server answers is received together with what else has arrived
# (stack/nbdkit/entry_guard_recv.c): nothing of it is lost or changed, and the next connection
# of the same number has nothing of it.
# ctest: LABELS flow;short
. "$(dirname "$0")/lib.sh"
eq "$("$BATON_TOOLS_DIR/received_ahead" | xargs)" \
    "socket socket nothing nothing nothing socket" "what is there without the guard"
eq "$(LD_PRELOAD=$BATON_BIN_DIR/baton-nbdkit-guard.so \
    "$BATON_TOOLS_DIR/received_ahead" | xargs)" \
    "socket ahead nothing nothing nothing socket" "what is there with it"
