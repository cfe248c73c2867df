#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The short form of "scripts/campaign fio".
exec "$(dirname "$0")/../../scripts/campaign" fio --handoffs 24 --seconds 5
