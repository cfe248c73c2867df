#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a device is like is remembered when it is closed in order. One whose server does not
# answer reads any more does not keep the service from ending.
. "$(dirname "$0")/lib.sh"
need nbdkit
start_gated_device hung 4M read
start_service a --disk "name=x,device=$(device_uri hung)"
stop_service a
wait_arrivals 1
