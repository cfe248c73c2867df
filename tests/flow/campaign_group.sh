#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The short form of "scripts/campaign group".
exec "$(dirname "$0")/../../scripts/campaign" group --handoffs 20 --seconds 4
