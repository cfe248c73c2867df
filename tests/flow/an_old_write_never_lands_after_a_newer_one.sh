#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A write is delayed on a connection that breaks; its retry and a newer write succeed;
# then the delayed one arrives. The newer data stays, and in builds with breakpoints is
# lost when fencing is switched off, which shows that the scenario is the right one.
# ctest: LABELS flow;short
exec "$(dirname "$0")/../../scripts/ghostwrite" --only Baton
