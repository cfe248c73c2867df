#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The short form of "scripts/campaign mixed".
exec "$(dirname "$0")/../../scripts/campaign" mixed --handoffs 12 --seconds 4
