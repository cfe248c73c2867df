#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The short form of "scripts/campaign crash".
# ctest: LABELS flow;short
# ctest: PROCESSORS 2
exec "$(dirname "$0")/../../scripts/campaign" crash --kills 5 --seconds 5
