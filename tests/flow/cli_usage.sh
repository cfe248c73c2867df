#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: BATON_BIN_DIR=build/dev tests/flow/cli_usage.sh
# Every wrong command line gets its exit status and a sentence that says what is allowed.
# No service is needed. Exit status: 0 passed, 1 failed, 77 skipped.
set -u

baton=${BATON_BIN_DIR:?}/baton
if [ ! -x "$baton" ]; then
    echo "skipped: there is no $baton"
    exit 77
fi
unset BATON_CONTROL
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0
rows=0

# refuses STATUS FRAGMENT ARGUMENT...
refuses() {
    local want=$1 fragment=$2 status=0
    shift 2
    rows=$((rows + 1))
    timeout 20 "$baton" "$@" >"$dir/out" 2>"$dir/err" </dev/null || status=$?
    if [ "$status" -ne "$want" ]; then
        echo "FAIL: baton $*: exit status $status, not $want: $(cat "$dir/err")"
        failures=$((failures + 1))
    elif ! grep -qF -- "$fragment" "$dir/err"; then
        echo "FAIL: baton $*: \"$fragment\" is not in: $(cat "$dir/err")"
        failures=$((failures + 1))
    elif [ "$(wc -l <"$dir/err")" -ne 1 ]; then
        echo "FAIL: baton $*: more than one line: $(cat "$dir/err")"
        failures=$((failures + 1))
    elif [ "$(wc -c <"$dir/err")" -gt 1000 ]; then
        echo "FAIL: baton $(printf %.80s "$*"): $(wc -c <"$dir/err") bytes are no sentence"
        failures=$((failures + 1))
    fi
}

# refuses_json STATUS FRAGMENT ARGUMENT...: and says so in one object, too
refuses_json() {
    local form='^\{"error":\{"code":'$1',"message":".*","errno":"E[A-Z]+"\}\}$'
    refuses "$@" --json
    if [ "$(grep -cE "$form" "$dir/out")" -ne 1 ] || [ "$(wc -l <"$dir/out")" -ne 1 ]; then
        echo "FAIL: baton ${*:3} --json printed: $(cat "$dir/out")"
        failures=$((failures + 1))
    fi
}

# prints FRAGMENT ARGUMENT...: exit status 0 and the fragment on standard output
prints() {
    local fragment=$1
    shift
    rows=$((rows + 1))
    if ! "$baton" "$@" 2>&1 | grep -qF -- "$fragment"; then
        echo "FAIL: baton $*: \"$fragment\" is not printed"
        failures=$((failures + 1))
    fi
}

# serve_refuses STATUS FRAGMENT ARGUMENT...: added to a line that would serve
serve_refuses() {
    local want=$1 fragment=$2
    shift 2
    refuses "$want" "$fragment" serve --name a --listen "unix:$dir/l" \
        --control "unix:$dir/c" --state-dir "$dir/s" --disk "name=D,device=$dir/x" "$@"
}

prints "usage: baton COMMAND" --help
prints "baton 0." --version
for command in serve status handoff park unpark abort attach recover proxy serial; do
    prints "usage: baton $command" $command --help
done

refuses 2 "no command; allowed: serve, status, handoff, park, unpark, abort, attach, lease, recover, vm, proxy, serial"
refuses 2 "no such command: recovr; allowed: serve" recovr
refuses 2 "no such command: -h; allowed" -h

refuses 2 "status: no such option: --jsn; allowed: --at, --json, --watch" status --jsn
refuses 2 "status: --at needs a value" status --at
refuses 2 "status: --at is given twice" status --at unix:/a --at unix:/b
refuses 2 "status: --at is empty" status --at ""
refuses 2 "status: more than one DISK" status --at unix:/a D E
refuses 2 "\"a/b\" is not the name of a disk" status --at unix:/a a/b
refuses 2 "tcp:127.0.0.1:1" status --at tcp:127.0.0.1:1
refuses 2 "relative" status --at unix:relative
refuses 1 "status: cannot reach the service at unix:$dir/none: No such file or directory; is it running?" \
    status --at "unix:$dir/none"
refuses 1 "cannot reach the service" status --json --at "unix:$dir/none"
BATON_CONTROL=unix:$dir/env refuses 1 "at unix:$dir/env: No such file" status

refuses 2 "status: --json takes no value" status --json=1 --at unix:/a
refuses 2 "status: no such option: -x; allowed: --at" status D -xyz
refuses 2 "status: no such option: -y; allowed: --at" status --at=unix:/a -yx
refuses 2 "status: no such option: -a; allowed: --at" status -a
long=$(head -c 10000 /dev/zero | tr '\0' x)
refuses 2 "; allowed: --at" status "--$long"
refuses 2 "is not the name of a disk" status "$long"
refuses 2 "is neither a disk nor a VM" handoff "$long" --from unix:/a --to unix:/b
refuses 2 "is neither a disk nor a VM" recover "$long"
refuses 2 "is not the name of a disk" attach "$long"
refuses 2 "; allowed: serve, status" "$long"
refuses 2 "no such command: a?[31mb?; allowed" $'a\e[31mb\n'
refuses 2 "VMs could not reach the service" serve --name a --disk "name=D,device=/x,description=${long:0:255}"
refuses_json 2 "status: no such option: --jsn" status --jsn
refuses_json 2 "is not the name of a disk" status $'\xff'
refuses_json 2 "handoff: the target is missing" handoff
refuses_json 2 "handoff: the next owner is missing" handoff D --from unix:/a
refuses_json 1 "cannot reach the service" status --at "unix:$dir/none"
for command in attach handoff park unpark abort recover; do
    to=()
    [ $command != handoff ] || to=(--to unix:/b)
    refuses_json 1 "$command: cannot reach the service at unix:$dir/none: No such file" \
        $command D --at "unix:$dir/none" "${to[@]}"
done
refuses 2 "--deadline 500us: allowed: 0, 1ms to 60m" \
    handoff D --from unix:/a --to unix:/b --deadline 500us

refuses 2 "handoff: the target is missing; usage: baton handoff DISK|vm:VM|all --from" handoff
refuses 2 "handoff: more than one DISK" handoff D E --from unix:/a --to unix:/b
refuses 2 "handoff: the next owner is missing; give --to URI" handoff D --from unix:/a
refuses 2 "--to: " handoff D --from unix:/a --to nonsense
refuses 2 "\"vm:\" is neither a disk nor a VM" handoff vm: --from unix:/a --to unix:/b
refuses 2 "\"-x-\" is neither" handoff --from unix:/a --to unix:/b -- -x-
refuses 2 "--deadline: \"5\" is not a duration; allowed" \
    handoff D --from unix:/a --to unix:/b --deadline 5
refuses 2 "--deadline 9999m: allowed: 0, 1ms to 60m" \
    handoff D --from unix:/a --to unix:/b --deadline 9999m
refuses 2 "--budget: \"fast\" is not a duration" \
    handoff D --from unix:/a --to unix:/b --budget fast
refuses 2 "--budget 0: allowed: 1us" handoff D --from unix:/a --to unix:/b --budget 0
refuses 2 "--from is given twice" handoff D --from unix:/a --at unix:/b --to unix:/c
refuses 2 "no such option: --form; allowed: --from, --at" handoff D --form unix:/a
refuses 1 "handoff: cannot reach the service at unix:$dir/none" \
    handoff D --from "unix:$dir/none" --to unix:/b
refuses 1 "cannot reach the service" \
    handoff vm:web --from "unix:$dir/none" --to unix:/b --json --quiet
grep -q '^{"error":{"code":1,"message":"cannot reach .*","errno":"ENOENT"}}$' "$dir/out" || {
    echo "FAIL: handoff --json printed: $(cat "$dir/out")"
    failures=$((failures + 1))
}

refuses 2 "park: the target is missing" park --at unix:/a
refuses 2 "no such option: --to; allowed: --at, --deadline, --json, --quiet, --help" \
    park D --at unix:/a --to unix:/b
refuses 1 "park: cannot reach the service" park D --at "unix:$dir/none"
refuses 1 "unpark: cannot reach the service" unpark D --at "unix:$dir/none"
refuses 2 "no such option: --deadline" abort D --at unix:/a --deadline 5s
refuses 1 "abort: cannot reach the service" abort D --at "unix:$dir/none"

refuses 2 "recover: the target is missing" recover --at unix:/a
refuses 2 "neither a disk nor a VM" recover -- -x
refuses 2 "recover: --ask: " recover D --at unix:/a --ask nowhere
refuses 2 "no such option: --force; allowed: --at, --ask, --take, --accept-device, --json" \
    recover D --at unix:/a --force
refuses 1 "recover: cannot reach the service" recover D --at "unix:$dir/none"

refuses 2 "proxy: one PATH is needed" proxy
refuses 2 "proxy: one PATH is needed" proxy /a /b
refuses 2 "proxy: " proxy relative
refuses 1 "proxy: cannot reach the service at unix:$dir/none" proxy "$dir/none"

refuses 2 "serial: one PORT is needed" serial --offer a=unix:/a
refuses 2 "serial: the port would carry nothing" serial /dev/none
refuses 2 "serial: --offer a: allowed: NAME=unix:PATH" serial /dev/none --offer a
refuses 2 "serial: --reach a=tcp:127.0.0.1:1: allowed" serial /dev/none \
    --reach a=tcp:127.0.0.1:1
refuses 2 "--offer a is given twice" serial /dev/none --offer a=unix:/a --offer a=unix:/b
refuses 2 "--socket-mode 8: allowed: octal" serial /dev/none --offer a=unix:/a \
    --socket-mode 8
refuses 2 "vsock:1:1: allowed: unix:PATH" serial vsock:1:1 --offer a=unix:/a

refuses 2 "serve: the service has no name" serve
refuses 2 "serve: there is no disk to serve" serve --name a
refuses 2 "VMs could not reach the service; give --listen" serve --name a --disk name=D,device=/x
refuses 2 "nobody could control the service; give --control" \
    serve --name a --disk name=D,device=/x --listen "unix:$dir/l"
serve_refuses 2 "--name: is given twice (before: a)" --name b
serve_refuses 2 "--listen: unix:$dir/l is given twice" --listen "unix:$dir/l"
serve_refuses 2 "--listen: " --listen nonsense
serve_refuses 2 "--control: is given twice" --control "unix:$dir/c2"
serve_refuses 2 "--state-dir: is given twice" --state-dir /x
serve_refuses 2 "--disk: disk E: cache=fast: no such cache mode; allowed: none, writeback" \
    --disk name=E,device=/x,cache=fast
serve_refuses 2 "--disk: disk E: unknown key \"size\"; allowed: name, device" \
    --disk name=E,device=/x,size=1
serve_refuses 2 "disk D is given twice" --disk name=D,device=/y
serve_refuses 2 "disks D and E have the same device" --disk "name=E,device=$dir/./x"
serve_refuses 2 "--config: cannot read $dir/none.conf" --config "$dir/none.conf"
printf 'listen = "unix:/l";\nlisten2 = 1;\n' >"$dir/a.conf"
serve_refuses 2 "$dir/a.conf:2: listen2: unknown setting; allowed: name" \
    --config "$dir/a.conf"
serve_refuses 2 "--threads 0: allowed: 1 to 1024" --threads 0
serve_refuses 2 "--threads many: allowed" --threads many
serve_refuses 2 '--socket-mode: "999": allowed: octal' --socket-mode 999
serve_refuses 2 '--socket-group: there is no group "nobodys" here; allowed' --socket-group nobodys
serve_refuses 2 '--control-group: there is no group "nobodys" here; allowed' --control-group nobodys
serve_refuses 2 '--socket-owner: there is no user "x y" here; allowed' --socket-owner "x y"
serve_refuses 2 "--filter a b: allowed: the name or path" --filter "a b"
serve_refuses 2 "--filter-param 5=x: allowed: KEY=VALUE" --filter-param 5=x
serve_refuses 2 "--filter-param rate: allowed: KEY=VALUE" --filter-param rate
serve_refuses 2 "this key is the service's" --filter-param disk=x
serve_refuses 2 "\"extra\" is no option" extra
serve_refuses 1 "cannot run $dir/none: No such file or directory; it is in the Debian package nbdkit" \
    --nbdkit "$dir/none"
serve_refuses 1 "cannot read $dir/none.so: No such file" --plugin "$dir/none.so"
touch "$dir/p.so"
refuses 1 "unix:$dir/none/deep/l: the folder $dir/none/deep is not there" serve --name a --listen "unix:$dir/none/deep/l" \
    --control "unix:$dir/c" --disk name=D,device=/x --plugin "$dir/p.so"
refuses 1 "unix:$dir/none/deep/c: the folder $dir/none/deep is not there" serve --name a --listen "unix:$dir/l" \
    --control "unix:$dir/none/deep/c" --disk name=D,device=/x --plugin "$dir/p.so"
if [ -e "$dir/l" ]; then
    echo "FAIL: a listener was left behind"
    failures=$((failures + 1))
fi

echo "$rows command lines, $failures failures"
[ "$failures" -eq 0 ]
