#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# When a long write has been read, what the client has sent behind it is read ahead
# (stack/nbdkit/entry_guard.c), so that the client can send on while the write is performed: its
# socket is empty then. Nothing of it is lost or changed.
# ctest: LABELS flow;short
. "$(dirname "$0")/lib.sh"
eq "$(LD_PRELOAD=$BATON_BIN_DIR/baton-nbdkit-guard.so \
    "$BATON_TOOLS_DIR/guarded_writes" "$T/s")" "empty same" "the socket, and both writes"
