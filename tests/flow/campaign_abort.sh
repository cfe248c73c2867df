#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The short form of "scripts/campaign abort".
exec "$(dirname "$0")/../../scripts/campaign" abort --handoffs 30 --seconds 5
