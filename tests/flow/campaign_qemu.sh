#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The short form of "scripts/campaign qemu".
exec "$(dirname "$0")/../../scripts/campaign" qemu --handoffs 16 --seconds 4
