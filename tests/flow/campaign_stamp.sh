#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The short form of "scripts/campaign stamp".
exec "$(dirname "$0")/../../scripts/campaign" stamp --handoffs 60 --seconds 5
