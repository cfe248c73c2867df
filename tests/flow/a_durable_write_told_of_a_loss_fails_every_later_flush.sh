#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A device without room for what it has taken (a thin one, an NFS server) says so once, to
# whoever syncs next. When that is one VM's durable write, what was lost is another VM's:
# whose flush has to fail; with a file, which has forgotten what was lost, every one after
# it. A device as a file, past the cache, and as an NBD server.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../power_cut.sh"
need jq nbdkit qemu-io

# told_of_a_loss KIND DEVICE [SETTING]
told_of_a_loss() {
    local end=$((SECONDS + 20)) failed
    start_service "$1" --disk "name=vda,device=$2${3+,$3}"
    # A VM that is connected all the time: its last connection would flush.
    rm -f "$T/commands"
    mkfifo "$T/commands"
    setsid qemu-io -t writeback -f raw "$(uri_of "$1" vda)" <"$T/commands" \
        >"$T/$1.first" 2>&1 &
    SERVICE_PID[client]=$!
    exec {COMMANDS}>"$T/commands"
    echo "write -P 1 0 4k" >&"$COMMANDS"
    until grep -q "wrote" "$T/$1.first"; do
        [ "$SECONDS" -lt "$end" ] || fail "the client: $(cat "$T/$1.first")"
        pause 0.05
    done
    : >"$T/disk.lose"
    note "$1: another VM's durable write is told"
    ! io "$(uri_of "$1" vda)" "write -f -P 2 1M 4k" || fail "$1: nobody is told"
    [ ! -e "$T/disk.lose" ] || fail "$1: nothing was lost"
    note "$1: the flushes of the first"
    failed=$(status_of "$1" vda .ledger.failed)
    echo "flush" >&"$COMMANDS" # qemu-io does not say how it ended, but at its own end
    until [ "$(status_of "$1" vda .ledger.failed)" -gt "$failed" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "$1: a flush succeeds"
        pause 0.05
    done
    if [ "$1" = nbd ]; then # who was told of it may try again: the server may have it still
        io "$(uri_of "$1" vda)" "flush"
    else
        ! io "$(uri_of "$1" vda)" "flush" || fail "$1: the next flush succeeds"
    fi
    exec {COMMANDS}>&- # so it ends
    wait "${SERVICE_PID[client]}" || true # with what its flush was told
    unset "SERVICE_PID[client]"
    kill_service "$1"
}

start_volatile_device disk 16M lose="$T/disk.lose"
told_of_a_loss nbd "$(device_uri disk)"
if command -v nbdfuse >/dev/null && [ "$(id -u)" -eq 0 ] && [ -w /dev/fuse ]; then
    unmount() { umount -l "$T/disk.mnt" 2>/dev/null; }
    at_exit unmount
    mount_device disk
    told_of_a_loss file "$T/disk.mnt/nbd"
    told_of_a_loss direct "$T/disk.mnt/nbd" cache=none
fi
