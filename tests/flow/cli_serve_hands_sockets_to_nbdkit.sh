#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: BATON_BIN_DIR=build/dev tests/flow/cli_serve_hands_sockets_to_nbdkit.sh
# What nbdkit gets from "baton serve": the arguments, the listeners by socket activation,
# the control socket after them, and the file modes. nbdkit is a script here that writes
# down what it sees. Exit status: 0 passed, 1 failed, 77 skipped.
# ctest: LABELS flow;short
set -u

baton=${BATON_BIN_DIR:?}/baton
if [ ! -x "$baton" ]; then
    echo "skipped: there is no $baton"
    exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0

expect() {
    if [ "$2" != "$3" ]; then
        printf 'FAIL: %s: got\n%s\nand not\n%s\n' "$1" "$2" "$3"
        failures=$((failures + 1))
    fi
}

cat >"$dir/nbdkit" <<'SCRIPT'
#!/bin/bash
out=$(dirname "$0")
printf '%s\n' "$@" >"$out/args"
{
    echo "fds=$LISTEN_FDS"
    [ "$LISTEN_PID" = "$$" ] && echo "pid is right"
    for fd in 3 4 5 6; do
        case $(readlink "/proc/$$/fd/$fd") in socket:*) echo "$fd is a socket" ;; esac
    done
} >"$out/seen"
SCRIPT
chmod +x "$dir/nbdkit"
touch "$dir/p.so"
printf 'listen = "unix:%s/l2";\n' "$dir" >"$dir/a.conf"
disk="name=D,device=$dir/x,,y"

LD_PRELOAD=${BATON_PRELOAD-} "$baton" serve --name a --listen "unix:$dir/l1" --config "$dir/a.conf" \
    --control "unix:$dir/c" --disk "$disk" --threads 4 --pidfile "$dir/pid" --verbose \
    --filter delay --filter-param rdelay=1 --plugin "$dir/p.so" --socket-mode 0666 \
    --nbdkit "$dir/nbdkit" 9>&1
expect "exit status" "$?" 0
expect "arguments" "$(cat "$dir/args")" "--foreground
--verbose
--threads=4
--filter=delay
$dir/p.so
name=a
listen=unix:$dir/l1
config=$dir/a.conf
control=unix:$dir/c
disk=$disk
socket-mode=0666
control-fd=5
pidfile=$dir/pid
rdelay=1"
expect "descriptors" "$(cat "$dir/seen")" "fds=2
pid is right
3 is a socket
4 is a socket
5 is a socket"
expect "modes" "$(stat -c %a "$dir/l1" "$dir/l2" "$dir/c" | xargs)" "666 666 600"

[ "$failures" -eq 0 ]
