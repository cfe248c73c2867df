#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# writers=one: a client whose first writes come while the owner is away waits for it like
# with any other request, however long that is, with all of them: none is refused because
# another one of the same client has asked first. Nor is another client's, before it is
# known whether the first may write.
. "$(dirname "$0")/lib.sh"
need jq qemu-io

device=$(new_device vda 8M)
start_service a --disk "name=vda,device=$device,writers=one"
start_service b --disk "name=vda,device=$device,writers=one,role=standby"
baton attach vda --at "$(control_of b)" --owner "$(control_of a)" >/dev/null
io "$(uri_of b vda)" "read 0 4k"
kill_service a

io "$(uri_of b vda)" "aio_write -P 1 0 4k" "aio_write -P 2 4k 4k" "aio_write -P 3 8k 4k" \
    "aio_flush" &
first=$!
io "$(uri_of b vda)" "write -P 4 12k 4k" &
second=$!
pause 11 # longer than one client waits for another one's end
start_service a --disk "name=vda,device=$device,writers=one"
wait $first || fail "a write of one client while the owner was away"
wait $second || fail "a write of another one"
io "$(uri_of a vda)" "read -P 1 0 4k" "read -P 2 4k 4k" "read -P 3 8k 4k" "read -P 4 12k 4k"
stop_service a
