#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The short form of "scripts/killmatrix": some of its cells, once.
# ctest: PROCESSORS 2
grep -q BATON_BREAK_DIR "$BATON_BIN_DIR/baton" || {
    echo "SKIP: baton was built without breakpoints"
    exit 77
}
exec "$(dirname "$0")/../../scripts/killmatrix" --times 1 --jobs 2 --iops 300 --only \
    '^(pause owner now|hold owner now|eject-committed owner order|assign-locked next now|assign-owned next order|back-owned owner now|group-spread owner order)$'
