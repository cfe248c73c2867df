#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: TORTURE_DIR=T at_fault.sh WHAT
#   What can be known at the moment of a fault, into T/fault: connections of the proxy with
#   what waits in them, status, records, stacks with all variables of the services, locks, and the
#   devices. A load runs it before it ends with a fault, scripts/torture at every other
#   one; only the first counts, the others wait until it is done. TORTURE_PID, if it is set,
#   stops meanwhile, so that it does not kill what is being looked at.
set -u
T=${TORTURE_DIR:?}
out=$T/fault
if ! mkdir "$out" 2>/dev/null; then
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout 120 bash -c 'until [ -e "$1/done" ]; do sleep 0.1; done' - "$out"
    exit
fi
trap '[ -z "${TORTURE_PID-}" ] || kill -CONT "$TORTURE_PID"' EXIT
[ -z "${TORTURE_PID-}" ] || kill -STOP "$TORTURE_PID"
printf '%s\n' "$1" >"$out/why"
now=${EPOCHREALTIME/[.,]/}
printf 't_us=%d FAULT %s\n' "$((now - $(cat "$T/clock")))" "$1" >>"$T/journal.log"

timeout 5 "$BATON_TOOLS_DIR/cutproxy" --tell "$T/proxy.ctl" list >"$out/connections" 2>&1
cp /proc/locks "$out/locks"
for disk in "$T"/*.img; do
    cp --sparse=always "$disk" "$out/"
done

look_at() { # SERVICE
    local name=$1 pid='' thread
    timeout 5 "$BATON_BIN_DIR/baton" status --at "unix:$T/$name.ctl" --json >"$out/$name.status" 2>&1
    timeout 5 cp -r "$T/$name.state" "$out/" 2>/dev/null # it may be unreadable
    pid=$(cat "$T/$name.pid" 2>/dev/null)
    [ -d "/proc/${pid:-none}" ] || return
    for thread in "/proc/$pid/task"/*; do
        echo "${thread##*/} $(cat "$thread/comm" "$thread/wchan" "$thread/syscall" 2>/dev/null | tr '\n' ' ')"
        cat "$thread/stack" 2>/dev/null
    done >"$out/$name.kernel"
    ls -l "/proc/$pid/fd" >"$out/$name.fds" 2>&1
    if command -v gdb >/dev/null; then
        timeout 60 gdb -batch -p "$pid" -ex 'set print frame-arguments all' \
            -ex 'thread apply all bt full' >"$out/$name.stacks" 2>&1
    fi
}
for control in "$T"/?.ctl; do
    name=${control##*/}
    look_at "${name%.ctl}" &
done
wait
: >"$out/done"
