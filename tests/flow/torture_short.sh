#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The short form of scripts/torture: two and a half minutes where there are breakpoints, half a
# minute in other builds, which cannot be killed at named points. The order of the faults is
# the same each time (BATON_SEED for another one); the campaign is for new ones.
# ctest: LABELS flow;slow
# ctest: COST 300
# ctest: TIMEOUT 900
seconds=30
! grep -q owner-preparing "$BATON_BIN_DIR/nbdkit-baton-plugin.so" || seconds=150
results=$BATON_BIN_DIR/torture_short.results # stays after a fault
status=0
"$(dirname "$0")/../../scripts/torture" --seconds "${BATON_TORTURE_SECONDS:-$seconds}" \
    --seed "${BATON_SEED:-1}" --results "$results" || status=$?
if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
    tail -n 100 "$results"/fault/{why,connections,*.status,*.stacks,timeline} 2>/dev/null
fi
if [ "$status" -eq 0 ] || [ "$status" -eq 77 ]; then
    rm -rf "$results"
fi
exit "$status"
