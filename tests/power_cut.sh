# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# power_cut.sh - for flow tests, after lib.sh: a device that loses what was not flushed,
# and the end of everything that shares its machine, at one moment.

# start_volatile_device NAME SIZE [PARAMETER]...: an NBD server with a volatile cache over
# a file that outlives it. May be called again after a cut.
start_volatile_device() {
    [ -e "$T/$1.medium" ] || truncate -s "$2" "$T/$1.medium"
    rm -f "$T/$1.pid" "$T/$1.pid.never" "$T/$1.sock" # of a life before
    # CTest knows where the tools are; the plugins are beside them.
    setsid nbdkit -f -U "$T/$1.sock" -P "$T/$1.pid" "$BATON_TOOLS_DIR/cut.so" \
        medium="$T/$1.medium" "${@:3}" >>"$T/$1.log" 2>&1 </dev/null &
    SERVICE_PID[$1]=$!
    await_file "$T/$1.pid"
}
medium_of() { echo "$T/$1.medium"; }

# mount_device NAME: the same as a file, $T/NAME.mnt/nbd, so that locks and the page
# cache are between it and the service. kernel_cache, or each open of the file (the next
# owner's) drops its pages, also those of writes that the server has not performed yet:
# a read then brings the old data back into the cache, and it stays there.
mount_device() {
    local end=$((SECONDS + 20))
    umount -l "$T/$1.mnt" 2>/dev/null || true # after a cut: nobody is behind it
    mkdir -p "$T/$1.mnt"
    setsid nbdfuse -o kernel_cache "$T/$1.mnt" "$(device_uri "$1")" >>"$T/$1.log" \
        2>&1 </dev/null &
    SERVICE_PID["$1-fuse"]=$!
    until [ -s "$T/$1.mnt/nbd" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "nbdfuse does not mount $1"
        read -rt 0.02 <>"$T/never" || true
    done
}

# power_cut SERVICE...: all of them stop at the same moment and are gone. First they are
# stopped, so that none sees the other one's end, and waited for last: a process that is
# in a call to the mounted device ends when the process behind the mount has ended.
power_cut() {
    local name
    for name in "$@"; do
        kill -STOP -- "-${SERVICE_PID[$name]}"
    done
    for name in "$@"; do
        kill -KILL -- "-${SERVICE_PID[$name]}"
    done
    for name in "$@"; do
        wait "${SERVICE_PID[$name]}" 2>/dev/null || true # 137
        unset "SERVICE_PID[$name]"
    done
}

# settle FIRST SECOND: wait until one of the two services owns vda and the other knows
# it, and no handoff is going on; sets owner and other.
settle() {
    local now='' end=$((SECONDS + 40))
    while [ "$SECONDS" -lt "$end" ]; do
        now="$(status_of "$1" vda '| .role, .handoff') \
$(status_of "$2" vda '| .role, .handoff')" || now='no answer'
        # shellcheck disable=SC2034 # for the test
        case ${now//$'\n'/ } in
        "owner null given null" | "owner null standby null") owner=$1 other=$2 && return ;;
        "given null owner null" | "standby null owner null") owner=$2 other=$1 && return ;;
        esac
        read -rt 0.05 <>"$T/never" || true
    done
    fail "no owner after $3: $now"
}

mkfifo "$T/never" # a read of it is a wait
