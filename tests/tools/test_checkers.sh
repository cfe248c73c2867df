#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test_checkers.sh FOLDER
# The checkers pass on honest servers and name the fault of each dishonest one. FOLDER
# holds stampcheck, grouporder and the liar plugin.
set -u
bin=$1
command -v nbdkit >/dev/null || exit 77
dir=$(mktemp -d) || exit 1
servers=()
stop_servers() {
    for pid in "${servers[@]}"; do kill "$pid" && wait "$pid"; done 2>/dev/null
    servers=()
}
trap 'stop_servers; rm -rf "$dir"' EXIT
nr_failed=0

# expect STATUS PATTERN WHAT COMMAND...: the command's status and output
expect() {
    local status=$1 pattern=$2 what=$3 out got
    shift 3
    out=$("$@" 2>&1)
    got=$?
    if [ "$got" -eq "$status" ] && grep -qE -- "$pattern" <<<"$out"; then
        echo "ok: $what"
    else
        echo "FAILED: $what: status $got, output: $out"
        nr_failed=$((nr_failed + 1))
    fi
}

# await FILE: until it exists, 10 seconds at most
await() {
    for _ in $(seq 500); do
        [ -e "$1" ] && return
        sleep 0.02
    done
    echo "FAILED: no $1"
    exit 1
}

# serve NAME PLUGIN...: a server on $dir/NAME.sock, which exists when this returns
serve() {
    local name=$1
    shift
    rm -f "$dir/$name.sock" "$dir/$name.pid"
    nbdkit --exit-with-parent -f -P "$dir/$name.pid" -U "$dir/$name.sock" "$@" \
        2>>"$dir/log" &
    servers+=($!)
    await "$dir/$name.pid"
}
uri() { echo "nbd+unix:///?socket=$dir/$1.sock"; }
# shellcheck disable=SC2317 # expect calls it
stamp() { "$bin/stampcheck" --uri "$(uri "$1")" --area 1m --json "${@:2}"; }

truncate -s 16M "$dir/disk"
serve file file "$dir/disk"
expect 0 '"result": "ok"' "a file server is honest" \
    stamp file --ops 20000 --journal "$dir/j"
expect 0 '"result": "ok"' "its file is as the journal says" \
    "$bin/stampcheck" --verify-file "$dir/disk" --journal "$dir/j"
printf x | dd of="$dir/disk" bs=1 seek=70000 conv=notrunc 2>/dev/null
expect 1 'FAULT: disk sector 136 holds' "one wrong byte in the file is found" \
    "$bin/stampcheck" --verify-file "$dir/disk" --journal "$dir/j"
serve honest "$bin/liar.so" lie=none
expect 0 '"result": "ok"' "the liar can be honest" stamp honest --ops 20000
for lie in lose stale late tear shift trim; do
    serve "$lie" "$bin/liar.so" lie=$lie every=100
    expect 1 'FAULT: sector' "lie=$lie is found" stamp "$lie" --ops 100000
done
serve error --filter=error memory 16M error-pwrite-rate=0.1%
expect 1 'FAULT: .*error reply: Input/output' "an error reply is a fault" \
    stamp error --ops 100000

# A server that is killed and comes back over the same file: all is sent again.
(for _ in 1 2 3 4 5; do
    rm -f "$dir/crash.sock"
    timeout -s KILL 0.3 nbdkit -f -U "$dir/crash.sock" file "$dir/disk"
done 2>/dev/null
rm -f "$dir/crash.sock"
exec nbdkit --exit-with-parent -f -U "$dir/crash.sock" file "$dir/disk") &
servers+=($!)
await "$dir/crash.sock"
expect 0 '"reconnects": [1-9]' "a server's crash loses nothing with --reconnect" \
    stamp crash --seconds 3 --reconnect=20
stop_servers

# A power cut (SIGKILL) of a disk with a volatile cache.
cut() {
    serve "cut-$1" "$bin/cut.so" medium="$dir/disk" flush="$1"
    rm -f "$dir/filled"
    stamp "cut-$1" --seconds 60 --power-cut --journal "$dir/j" \
        --ready-file "$dir/filled" >"$dir/out" 2>&1 &
    local load=$!
    await "$dir/filled"
    sleep 0.7 # some load
    kill -KILL "${servers[-1]}"
    wait "$load" || cat "$dir/out"
}
cut on
expect 0 '"result": "ok"' "what was flushed survives a power cut" \
    "$bin/stampcheck" --verify-file "$dir/disk" --journal "$dir/j"
cut off
expect 1 'FAULT: disk sector' "flushes that do nothing are found after a power cut" \
    "$bin/stampcheck" --verify-file "$dir/disk" --journal "$dir/j"
stop_servers

group=() files=()
for i in 1 2 3 4; do
    truncate -s 1M "$dir/d$i"
    serve "d$i" file "$dir/d$i"
    group+=(--uri "$(uri "d$i")")
    files+=("$dir/d$i")
done
"$bin/grouporder" "${group[@]}" --seconds 2 --journal "$dir/g" \
    --ready-file "$dir/ready" >"$dir/out" &
chains=$!
await "$dir/ready"
expect 0 '"result": "ok"' "chains are in order while they are written" \
    "$bin/grouporder" --verify --live "${files[@]}"
cp "$dir/d1" "$dir/old"
wait $chains
expect 0 '"result": "ok"' "chains over files are in order" \
    bash -c "cat $dir/out; exit $?"
expect 0 '"result": "ok"' "the files are as the journal says" \
    "$bin/grouporder" --verify --journal "$dir/g" "${files[@]}"
expect 1 'disk 1 holds .* after it already' "a first disk that went back is found" \
    "$bin/grouporder" --verify "$dir/old" "${files[@]:1}"
cp "$dir/d1" "$dir/old"
"$bin/grouporder" "${group[@]}" --seconds 1 >"$dir/out"
expect 1 "another run's" "a disk of another run is found" \
    "$bin/grouporder" --verify "$dir/old" "${files[@]:1}"
exit $((nr_failed > 0))
