#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The proxy of the fault tests passes bytes on unchanged, keeps and releases them, lets
# other connections overtake, names what it keeps, cuts, refuses, and chooses its accidents by the seed.
. "$(dirname "$0")/lib.sh"
need nbdkit qemu-io

start_program() { # NAME COMMAND...
    local name=$1
    shift
    setsid "$@" >>"$(log_of "$name")" 2>&1 </dev/null &
    SERVICE_PID[$name]=$!
}
tell() { timeout 20 "$BATON_TOOLS_DIR/cutproxy" --tell "$T/ctl" "$@"; }
start_proxy() {
    start_program proxy "$BATON_TOOLS_DIR/cutproxy" --control "$T/ctl" \
        --route "r=$T/cut:$T/server" "$@"
    await_line proxy ready
}
await_line() { # NAME REGEX
    local i
    for ((i = 0; i < 1000; i++)); do
        ! grep -q "$2" "$T/$1.log" 2>/dev/null || return 0
        read -rt 0.02 <>"$T/never" || true
    done
    fail "$1 does not say $2"
}
mkfifo "$T/never" # a read of it is a wait
: >"$T/proxy.log"
new_device d 16M >/dev/null
start_program server nbdkit -f -U "$T/server" -P "$T/server.pid" file "$T/d.img"
await_file "$T/server.pid"
start_proxy
uri="nbd+unix:///?socket=$T/cut"
named="nbd+unix:///some-name?socket=$T/cut"

# Everything passes, up and down.
io "$uri" 'write -P 0x5a 1m 3m' 'read -P 0x5a 1m 3m' 'read -P 0 4m 1m'

# It knows what they ask for.
io "$named" 'read 0 4k'
await_line proxy 'r: asks for some-name'

# A closed route refuses, an open one admits.
tell close r >/dev/null
! io "$uri" 'read 0 4k' 2>/dev/null || fail "a closed route lets clients in"
tell open r >/dev/null

# What is held waits; another connection overtakes it; released it goes on.
mkfifo "$T/commands"
stdbuf -oL qemu-io -f raw "$uri" <"$T/commands" >"$T/client.log" 2>&1 &
client=$!
exec {commands}>"$T/commands"
echo 'write -P 0x11 0 4k' >&"$commands"
await_line client 'wrote 4096'
first=$(tell list | sed -n 's/^\(#[0-9]*\) r connected.*/\1/p')
tell hold up "$first" >/dev/null
echo 'write -P 0x22 0 4k' >&"$commands"
tell wait-held 4096 "$first" >/dev/null
io "$uri" 'read -P 0x11 0 4k' 'write -P 0x33 8k 4k'
contains "$(tell list | grep "^$first ")" ' held up for "": write 0+4096' "what is held"
tell release "$first" >/dev/null
echo quit >&"$commands"
wait "$client" || fail "the held client: $(cat "$T/client.log")"
tell wait-gone "$first" >/dev/null
grep -q "$first r: released with 4124 bytes up, 0 down: write 0+4096" "$T/proxy.log" ||
    fail "the log does not name what was released"
io "$uri" 'read -P 0x22 0 4k' 'read -P 0x33 8k 4k'
fails_with 1 'what is' -- "$BATON_TOOLS_DIR/cutproxy" --tell "$T/ctl" bend up r

# The same seed makes the same accidents, another one others.
accidents() { # SEED: sets $seen
    kill_service proxy
    : >"$T/proxy.log"
    start_proxy --random 10 --seed "$1"
    await_line proxy 'accident.*orphan'
    seen=$(sed -n 's/^ *[0-9.]* \(accident.*\)/\1/p' "$T/proxy.log" | sed '/orphan/q')
}
accidents 7
once=$seen
accidents 7
eq "$seen" "$once" "accidents of the same seed"
accidents 8
[ "$seen" != "$once" ] || fail "another seed makes the same accidents"
