#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The judge of the kill matrix: writes of two processes to one device are found in the
# log, and two holders of QEMU's "I write" lock in /proc/locks.
. "$(dirname "$0")/lib.sh"
need nbdkit qemu-nbd
writelog=$BATON_TOOLS_DIR/writelog
device=$(new_device vda 4M)
"$writelog" create "$T/log" "$device"

# Servers that lock nothing.
serve() {
    WRITELOG_FILE=$T/log LD_PRELOAD=$BATON_TOOLS_DIR/writelog-preload.so setsid \
        nbdkit -f -U "$T/$1.sock" -P "$T/$1.pid" file "$device" >"$T/$1.log" 2>&1 </dev/null &
    SERVICE_PID[$1]=$!
    await_file "$T/$1.pid"
}
write_by() {
    "$BATON_TOOLS_DIR/stampcheck" --uri "nbd+unix:///?socket=$T/$1.sock" --ops 500 \
        --connections 1 --area 1m >/dev/null
}
serve one
serve two
write_by one
contains "$("$writelog" check "$T/log")" '"two_writers": 0' "one writer"
write_by two
fails_with 1 'TWO WRITERS' -- "$writelog" check "$T/log"

# Two owners: a server that takes QEMU's locks, but lets others share.
watch() {
    rm -f "$T/stop"
    "$writelog" watch "$T/stop" "$device" >"$T/watch" 2>&1 &
    watcher=$!
}
end_watcher() { [ -z "${watcher-}" ] || kill "$watcher" 2>/dev/null || true; } # ended
at_exit end_watcher
share() {
    setsid qemu-nbd -t -k "$T/$1.sock" --pid-file "$T/$1.pid" -e 2 -f raw "$device" \
        >"$T/$1.log" 2>&1 </dev/null &
    SERVICE_PID[$1]=$!
    await_file "$T/$1.pid"
}
watch
share three
touch "$T/stop"
wait "$watcher" || fail "one owner is said to be two: $(cat "$T/watch")"
watch
share four
await_file "$T/watch" # it says nothing else before its end
touch "$T/stop"
! wait "$watcher" || fail "two owners are not seen: $(cat /proc/locks)"
contains "$(cat "$T/watch")" 'TWO OWNERS' "what watch says"
