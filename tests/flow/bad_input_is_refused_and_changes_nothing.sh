#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# More than a hundred kinds of bad input against a service that serves: lines on its
# control socket, export names, other services and configurations that want what is its
# own, and NBD requests. Each gets the error that is documented; after each one the
# service's status is the same and a client that was connected all the time reads and
# writes. In the end the disks still go there and back: nothing hidden was changed.
# Command lines are in cli_usage.sh.
# ctest: LABELS flow;short
# ctest: COST 150
. "$(dirname "$0")/lib.sh"
need qemu-io nbdinfo socat jq mkfifo od openssl

## The service under attack, its neighbour, and a client

U2=11111111-2222-3333-4444-555555555555 # the uuid of no disk here
vda=$(new_device vda 64M)
start_service a --disk "name=vda,device=$vda,vm=web" \
    --disk "name=gone,device=$(new_device gone 16M)" \
    --disk "name=next,device=$(new_device next 16M),role=standby" \
    --disk "name=ro,device=$(new_device ro 16M),readonly=on" \
    --disk "name=direct,device=$(new_device direct 16M),cache=none"
start_service b --disk "name=vda,device=$vda,role=standby" \
    --disk "name=gone,device=$T/gone.img,role=standby" \
    --disk "name=next,device=$T/next.img"
handoff gone a b >/dev/null # epoch 2: a is a client of b now
uuid=$(status_of a vda .uuid)
gone_uuid=$(status_of a gone .uuid)
next_uuid=$(status_of b next .uuid)

# The one request on a connection of its own; the reply, or nothing.
ask() {
    timeout 20 socat -t 10 - "UNIX-CONNECT:$T/a.ctl"
}

call() { # METHOD [PARAMETERS]
    printf '{"jsonrpc":"2.0","id":7,"method":"%s","params":%s}\n' "$1" "${2-{\}}"
}

facts() {
    call status | ask | jq -c '[.result.disks[] | [.name, .uuid, .vm, .size, .epoch,
        .role, .state, .owner, .device, .queued, .handoff]]'
}
before=$(facts)
contains "$before" '"owner"' "status of a"

mkfifo "$T/client.in" "$T/client.out"
setsid qemu-io -f raw "$(uri_of a vda)" <"$T/client.in" >"$T/client.out" 2>&1 &
SERVICE_PID[client]=$! # ends with the test as a service does
exec 8>"$T/client.in" 9<"$T/client.out"

client_does() { # COMMAND FRAGMENT OF THE ANSWER
    local line
    echo "$1" >&8
    while read -r -t 20 line <&9; do
        case $line in
        *"$2"*) return 0 ;;
        *failed* | *rror*) break ;;
        esac
    done
    fail "after row $rows ($row): the client's '$1' got '${line-}'"
}

rows=0
row=
declare -A rows_of=()
# Every row ends with this.
nothing_changed() { # KIND
    local now
    rows=$((rows + 1))
    rows_of[$1]=$((${rows_of[$1]-0} + 1))
    now=$(facts) || fail "row $rows ($row): no status any more"
    eq "$now" "$before" "status after row $rows ($row)"
    client_does "write -P $((rows % 255 + 1)) $((rows * 4096)) 4k" "wrote 4096/4096"
    client_does "read -P $((rows % 255 + 1)) $((rows * 4096)) 4k" "read 4096/4096"
}

## Control messages

# expect CODE FRAGMENT: standard input is sent. CODE "refused" is assigned: false.
expect() {
    local reply
    row="control: $2"
    reply=$(ask | grep -v '"method":"progress"') ||
        fail "$row: the service does not answer"
    if [ "$1" = refused ]; then
        jq -e --arg f "$2" '.result.assigned == false and (.result.reason | contains($f))' \
            <<<"$reply" >/dev/null || fail "expected a refusal ($2): $reply"
    else
        jq -e --argjson c "$1" --arg f "$2" --slurp 'length == 1 and (.[0] |
            .jsonrpc == "2.0" and has("id") and (has("result") | not) and
            .error.code == $c and (.error.message | contains($f)))' \
            <<<"$reply" >/dev/null || fail "expected code $1 and '$2': ${reply:0:400}"
    fi
    nothing_changed control
}

zeros() { # NUMBER OF BYTES
    head -c "$1" /dev/zero
}

parse=-32700 invalid=-32600 unknown=-32601 params=-32602
expect $parse '' <<<'{"jsonrpc":"2.0","id":1,"method":"status"'
expect $parse '' <<<'status'
expect $parse '' <<<''
expect $parse '' <<<'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}'
expect $parse '' < <(printf '{"jsonrpc":"2.0","id":1,"method":"pi\0ng"}\n')
expect $parse '' <<<'{"jsonrpc":"2.0","id":1,"method":"pi\u0000ng"}'
expect $parse '' < <(printf '{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}\n')
expect $parse '' < <(call ping | tr '\n' '}' && echo)
expect $parse '' < <(call peer.cancel '{"from":"b","disks":[{"epoch":9223372036854775808}]}')
expect $parse '' < <(call park '{"target":"vda","deadline_ms":1e999}')
expect $invalid 'too long' < <(zeros 262144 | tr '\0' ' ')
expect $invalid 'too long' < <(printf '{"id":"' && zeros 262137 | tr '\0' x)
# More than the service reads: its reply may get lost, the connection ends.
row="a line of 400000 bytes"
{ zeros 400000 | tr '\0' x && echo; } | ask >/dev/null 2>&1 && status=0 || status=$?
if [ "$status" -eq 124 ]; then
    fail "$row: the connection does not end"
fi
nothing_changed control
expect $invalid 'too deep' < <(zeros 40 | tr '\0' '[' && echo)
expect $invalid 'too deep' < <(zeros 50000 | sed 's/\x0/{"":/g' && echo)
expect $invalid 'batches' <<<'[{"jsonrpc":"2.0","id":1,"method":"ping"}]'
expect $invalid 'must be an object' <<<'"status"'
expect $invalid 'must be an object' <<<'null'
expect $invalid 'jsonrpc' <<<'{"id":1,"method":"ping"}'
expect $invalid 'jsonrpc' <<<'{"jsonrpc":2.0,"id":1,"method":"ping"}'
expect $invalid 'id must be' <<<'{"jsonrpc":"2.0","id":{},"method":"ping"}'
expect $invalid 'method must be' <<<'{"jsonrpc":"2.0","id":1,"method":5}'
expect $invalid 'method must be' <<<'{"jsonrpc":"2.0","id":1}'
expect $unknown 'unknown method' < <(call recovr)
expect $unknown 'unknown method' < <(call 'status ')
expect $unknown 'unknown method' < <(call '../status')
expect $params 'object' < <(call status '["vda"]')
expect $params 'object' < <(call status null)
expect $params '"dsk"' < <(call status '{"dsk":"vda"}')
expect $params '"disk"' < <(call status '{"disk":5}')
expect 1 'no disk vdx' < <(call status '{"disk":"vdx"}')
expect 1 'no disk' < <(call status '{"disk":"../vda"}')

expect $params '"target"' < <(call recover)
expect $params '"take"' < <(call recover '{"target":"vda","take":1}')
expect $params '"disk"' < <(call recover '{"target":"vda","disk":"vda"}')
expect $params '"ask"' < <(call recover '{"target":"vda","ask":"unix:/x"}')
expect $params '"ask"' < <(call recover '{"target":"vda","ask":["nowhere"]}')
expect $params '"ask"' < <(call recover '{"target":"vda","ask":[1,2,3,4,5,6,7,8,9]}')
expect 1 'no disk vdx' < <(call recover '{"target":"vdx","take":true}')
expect 1 'served-elsewhere' < <(call recover '{"target":"gone","take":true}')

to=unix:$T/b.ctl
expect $params '"to"' < <(call handoff '{"target":"vda"}')
expect $params '"to"' < <(call handoff '{"target":"vda","to":["x"]}')
expect $params '"target"' < <(call handoff "{\"to\":\"$to\"}")
expect $params '"target"' < <(call handoff "{\"target\":\"../vda\",\"to\":\"$to\"}")
expect $params '"target"' < <(call handoff "{\"target\":\"vm:\",\"to\":\"$to\"}")
expect $params '"deadline"' < <(call handoff "{\"target\":\"vda\",\"to\":\"$to\",\"deadline\":1}")
for bad in -1 3600001 9223372036854775807 1.5 '"5s"' null '{}'; do
    expect $params '"deadline_ms"' < <(call handoff \
        "{\"target\":\"vda\",\"to\":\"$to\",\"deadline_ms\":$bad}")
done
expect $params '"budget_us"' < <(call handoff \
    "{\"target\":\"vda\",\"to\":\"$to\",\"budget_us\":9223372036854775807}")
expect 1 'tcp:' < <(call handoff '{"target":"vda","to":"tcp:127.0.0.1:1"}')
expect 1 '' < <(call handoff '{"target":"vda","to":""}')
expect 1 '' < <(call handoff "{\"target\":\"vda\",\"to\":\"unix:/$(zeros 5000 | tr '\0' x)\"}")
expect 1 'No such file' < <(call handoff "{\"target\":\"vda\",\"to\":\"unix:$T/none\"}" |
    sed 's/"id":7/"id":"a"/')
expect 1 'no disk vdx' < <(call handoff "{\"target\":\"vdx\",\"to\":\"$to\"}")
expect 1 'no disk of' < <(call handoff "{\"target\":\"vm:db\",\"to\":\"$to\"}")
expect 1 'given to b at epoch 2' < <(call handoff "{\"target\":\"gone\",\"to\":\"$to\"}")
expect 1 'on standby' < <(call park '{"target":"next"}')
expect $params '"deadline_ms"' < <(call park '{"target":"vda","deadline_ms":"x"}')
expect $params '"to"' < <(call park "{\"target\":\"vda\",\"to\":\"$to\"}")
expect $params '"target"' < <(call unpark '{"target":true}')
expect $params '"deadline_ms"' < <(call unpark '{"target":"vda","deadline_ms":-1}')
expect 1 'vda' < <(call unpark '{"target":"vda"}')
expect 1 'no handoff' < <(call abort '{"target":"vda"}')
expect $params '"force"' < <(call abort '{"target":"vda","force":true}')

# What another service would send.
info='{"size":16777216,"min_block":1,"pref_block":4096,"max_block":67108864,"caps":511}'
disk() { # NAME UUID EPOCH [INFO]
    printf '{"name":"%s","uuid":"%s","epoch":%s,"right":"%s","vm":"","info":%s}' "$1" "$2" \
        "$3" "$right" "${4-$info}"
}
peer() { # METHOD DISK...
    local IFS=,
    call "peer.$1" "{\"from\":\"b\",\"from_control\":\"$to\",\"boot_id\":\"\",\"disks\":[${*:2}]}"
}
right=0123456789abcdef0123456789abcdef
good=$(disk next "$next_uuid" 5)
expect $params 'malformed call' < <(call peer.prepare)
expect $params 'malformed call' < <(call peer.prepare "{\"from\":5,\"disks\":[$good]}")
expect $params 'malformed call' < <(call peer.prepare "{\"from\":\"../b\",\"disks\":[$good]}")
expect $params 'malformed call' < <(call peer.assign '{"from":"b","disks":{}}')
expect $params 'malformed call' < <(call peer.assign \
    "{\"from\":\"b\",\"boot_id\":5,\"disks\":[$good]}")
expect $params '1 to 64' < <(peer assign)
mapfile -t many < <(for i in {1..65}; do disk "d$i" "$U2" 2 && echo; done)
expect $params '1 to 64' < <(peer prepare "${many[@]}")
expect $params 'twice' < <(peer prepare "$good" "$good")
expect $params 'malformed disk' < <(peer prepare "${good/$right/${right^^}}")
expect 1 'names no right of its channels' < <(peer prepare "${good/$right/}")
for method in prepare assign cancel; do
    expect 1 'no disk vdx' < <(peer $method "$good" "$(disk vdx "$U2" 5)")
    expect $params 'malformed disk' < <(peer $method '"next"')
    expect $params 'malformed disk' < <(peer $method "$(disk next "$next_uuid" 0)")
done
for bad in -1 1.5 '"5"' 9223372036854775807; do
    expect $params 'malformed disk' < <(peer assign "$(disk next "$next_uuid" "$bad")")
done
expect $params 'malformed disk' < <(peer assign "$(disk ../next "$next_uuid" 5)")
expect $params 'malformed disk' < <(peer assign "$(disk next "$U2-" 5)")
expect $params 'malformed disk' < <(peer prepare "$(disk next "$(zeros 36 | tr '\0' /)" 5)")
expect $params 'malformed disk' < <(peer assign "$(disk next "${U2//1/A}" 5)")
for bad in 5 '{}' "${info/4096/4097}" "${info/4096/67108864}" "${info/4096/256}" \
    "${info/:1,/:3,}" "${info/:1,/:0,}" "${info/16777216/-1}" "${info/511/-1}" \
    "${info/67108864/0}" "${info/:67108864/:4294967296}"; do
    expect $params 'malformed info' < <(peer prepare "$(disk next "$next_uuid" 5 "$bad")")
done
expect 1 'size' < <(peer prepare "$(disk next "$next_uuid" 5 "${info/16777216/33554432}")")
expect 1 'owns it itself' < <(peer prepare "$(disk vda "$uuid" 5)")
expect 1 'another disk' < <(peer prepare "$(disk vda "$U2" 5)")
expect 1 'not newer than 2' < <(peer prepare "$(disk gone "$gone_uuid" 2)")
expect refused 'not newer than 2' < <(peer assign "$(disk gone "$gone_uuid" 2)")
expect refused 'owns it itself' < <(peer assign "$(disk vda "$uuid" 2)")
expect refused 'another disk' < <(peer assign "$(disk vda "$U2" 9000000000000000000)")

## Export names

# no_export NAME...: the connection ends with an error, soon (percent-encoded)
no_export() {
    local name status
    for name in "$@"; do
        row="export name ${name:0:80}"
        status=0
        timeout 10 nbdinfo "nbd+unix:///$name?socket=$T/a.nbd" >"$T/out" 2>&1 || status=$?
        eq "$status" 1 "exit status of nbdinfo for $row ($(cat "$T/out"))"
        nothing_changed name
    done
}
channel() { # UUID EPOCH CLIENT SESSION
    channel_name "$vda_right" "$@"
}
vda_right=$(right_of a vda)
no_export ../vda '' VDA vda/ vda%20 vd%0Aa vda%FF %01 next \
    "$(zeros 300 | tr '\0' x)" "$(zeros 4000 | tr '\0' y)" \
    'baton-channel' 'baton-channel;' "baton-channel;uuid=$uuid" \
    "$(channel "$U2" 1 c 1)" "$(channel "${uuid^^}" 1 c 1)X" "$(channel "../$uuid" 1 c 1)" \
    "$(channel "$uuid" 0 c 1)" "$(channel "$uuid" 2 c 1)" "$(channel "$uuid" 01 c 1)" \
    "$(channel "$uuid" -1 c 1)" "$(channel "$uuid" 18446744073709551617 c 1)" \
    "$(channel "$uuid" 1 '' 1)" "$(channel "$uuid" 1 a/b 1)" \
    "$(channel "$uuid" 1 "$(zeros 64 | tr '\0' c)" 1)" "$(channel "$uuid" 1 c '')" \
    "$(channel "$uuid" 1 c 1);x=1" \
    "$(channel "$uuid" 1 c 18446744073709551615)" "$(channel_name "$right" "$uuid" 1 c 1)" \
    "baton-channel;uuid=$uuid;epoch=1;client=c;session=1" "$(channel "$gone_uuid" 1 c 1)" \
    "$(channel "$gone_uuid" 2 c 1)" "$(channel "$next_uuid" 1 c 1)"
nbdinfo "nbd+unix:///$(channel "$uuid" 1 c 5)?socket=$T/a.nbd" >/dev/null ||
    fail "a good channel name is refused"
no_export "$(channel "$uuid" 1 c 4)" # an old session

## Requests, byte by byte: clients are too well-behaved

hex() { # WIDTH NUMBER: big-endian bytes for printf
    printf "%0$((2 * $1))x" "$2" | sed 's/../\\x&/g'
}

# answers ERROR DISK FLAGS TYPE OFFSET LENGTH [PAYLOAD BYTES]: the NBD error number, or
# "none" if there may be no reply (nbdkit ends such a connection when the client does)
answers() {
    local expected=$1 disk=$2 flags=$3 type=$4 off=$5 len=$6 got in out pid
    row="request to $disk: flags $flags type $type offset $off length $len"
    coproc NBD { exec socat -t 10 - "UNIX-CONNECT:$T/a.nbd"; }
    pid=$NBD_PID
    exec {in}<&"${NBD[0]}" {out}>&"${NBD[1]}"
    {
        printf '\0\0\0\3IHAVEOPT\0\0\0\1%b%s' "$(hex 4 ${#disk})" "$disk"
        printf '%b' "$MAGIC$(hex 2 "$flags")$(hex 2 "$type")12345678$(hex 8 "$off")"
        printf '%b' "$(hex 4 "$len")"
        zeros "${7-0}"
    } >&"$out"
    # The greeting, the export, the reply's magic; the error and the cookie count.
    got=$(timeout "${PATIENCE-10}" head -c $((18 + 10 + 16)) <&"$in" |
        tail -c +29 | od -An -v -tx1 | tr -d ' \n') ||
        [ "$expected" = none ] || fail "$row: no reply"
    exec {in}<&- {out}>&-
    kill "$pid" 2>/dev/null || true # it may have ended
    wait "$pid" 2>/dev/null || true
    if [ "$expected" = none ]; then
        eq "$got" '' "$row"
    else
        eq "$got" "67446698$(printf %08x "$expected")3132333435363738" "$row"
    fi
    nothing_changed request
}
MAGIC='\x25\x60\x95\x13'
eperm=1 einval=22 enospc=28 size=67108864 max=0x7fffffffffffffff
answers 0 vda 0 1 0 4096 4096 # a good one, so that the others mean something
answers 0 direct 0 1 0 4096 4096
client_does "write -P 3 0 4k" "wrote 4096/4096"
answers $einval vda 0 0 $size 1
answers $einval vda 0 0 $((size - 512)) 1024
answers $einval vda 0 0 $max 512
answers $einval vda 0 0 -1 1
answers $enospc vda 0 1 $size 512 512
answers $enospc vda 0 1 $((size - 1)) 2 2
answers $enospc vda 0 6 $((size - 512)) 1024
answers $einval vda 0 4 $size 512
answers $einval vda 0 0 0 0
answers $einval vda 0 99 0 512
answers $einval vda 0xffe0 0 0 512
answers $einval direct 0 0 1 4096
answers $einval direct 0 0 0 100
answers $einval direct 0 1 0 1 1
answers $einval direct 0 1 100 4096 4096
answers $einval direct 1 6 4096 4097
answers $einval direct 0 4 1 512
answers $eperm ro 0 1 0 512 512
answers $eperm ro 0 4 0 512
answers $eperm ro 0 6 0 512
PATIENCE=1 MAGIC='\x25\x60\x95\x14' answers none vda 0 0 0 512
row="not NBD at all"
status=0 # socat may or may not call it an error that the service hangs up
printf 'GET / HTTP/1.0\r\n\r\n' |
    timeout 10 socat -t 1 - "UNIX-CONNECT:$T/a.nbd" >/dev/null 2>&1 || status=$?
if [ "$status" -eq 124 ]; then
    fail "$row: the connection does not end"
fi
nothing_changed request

## Services that must not start

# refuses STATUS FRAGMENT [OPTION OF baton serve]...: one sentence on standard error
refuses() {
    local expected=$1 fragment=$2 status=0
    shift 2
    row="serve: $fragment"
    LD_PRELOAD=${BATON_PRELOAD-} timeout -k 5 20 "$BATON" serve --name c "$@" >"$T/out" 2>&1 </dev/null || status=$?
    eq "$status" "$expected" "exit status for $row ($(cat "$T/out"))"
    contains "$(cat "$T/out")" "$fragment" "$row"
    eq "$(wc -l <"$T/out")" 1 "lines on standard error for $row ($(cat "$T/out"))"
    nothing_changed service
}
listen=(--listen "unix:$T/c.nbd")
control=(--control "unix:$T/c.ctl")
ends=("${listen[@]}" "${control[@]}")
# refuses_disk FRAGMENT DEVICE-AND-KEYS: a first start
refuses_disk() {
    rm -rf "$T/c.state"
    refuses 1 "$1" "${ends[@]}" --state-dir "$T/c.state" --disk "name=d,device=$2"
}
d=$(new_device d 1M)
state=(--state-dir "$T/c.state")
use=(--disk "name=d,device=$d")

refuses 1 'another service uses it' "${ends[@]}" --state-dir "$T/a.state" "${use[@]}"
mkdir -m 0777 "$T/open.state" && chmod 0777 "$T/open.state"
refuses 1 'others may write to it' "${ends[@]}" --state-dir "$T/open.state" "${use[@]}"
refuses 1 'Not a directory' "${ends[@]}" --state-dir "$d" "${use[@]}"
refuses 1 'No such file' "${ends[@]}" --state-dir "$T/no/state" "${use[@]}"
refuses 1 'a.ctl' "${listen[@]}" --control "unix:$T/a.ctl" "${state[@]}" "${use[@]}"
refuses 1 'a.nbd' "${control[@]}" --listen "unix:$T/a.nbd" "${state[@]}" "${use[@]}"
touch "$T/file.ctl"
refuses 1 'file.ctl' "${listen[@]}" --control "unix:$T/file.ctl" "${state[@]}" "${use[@]}"
refuses 2 'unix:' "${listen[@]}" --control "unix:/$(zeros 120 | tr '\0' x)" "${state[@]}" \
    "${use[@]}"

refuses_disk 'in use by' "$vda"
refuses_disk "error: disk d: $T/none: No such file" "$T/none"
mkdir "$T/folder" && mkfifo "$T/pipe" && ln -s loop "$T/loop"
refuses_disk 'folder' "$T/folder"
refuses_disk 'pipe' "$T/pipe"
refuses_disk 'loop' "$T/loop"
refuses_disk '/dev/null' /dev/null
refuses_disk 'a.ctl' "$T/a.ctl"
refuses_disk 'not a multiple of 512' "$(new_device odd 1000003),cache=none"
refuses_disk 'none.nbd' "nbd+unix:///x?socket=$T/none.nbd"
refuses_disk "no export named 'x'" "nbd+unix:///x?socket=$T/a.nbd"

printf 'name = "c";\0' >"$T/zero.conf"
head -c 3000 /dev/urandom | tr '\0' x >"$T/random.conf"
printf 'disks = ( { name = "d"; device = 5; } );\n' >"$T/type.conf"
refuses 2 'zero byte' --config "$T/zero.conf"
refuses 2 'random.conf' --config "$T/random.conf"
refuses 2 'type.conf:1' --config "$T/type.conf"
refuses 2 'folder' --config "$T/folder"

# What its own records say.
rm -rf "$T/c.state"
start_service c "${use[@]}"
stop_service c
cp -a "$T/c.state" "$T/saved"
record=$T/c.state/disk/d.json
# refuses_state FRAGMENT COMMAND...: after the command has damaged a good state
refuses_state() {
    local fragment=$1
    shift
    rm -rf "$T/c.state"
    cp -a "$T/saved" "$T/c.state"
    "$@"
    refuses 1 "$fragment" "${ends[@]}" "${state[@]}" "${use[@]}"
}
refuses_state 'checksum' sed -i 's/"epoch": 1/"epoch": 2/' "$record"
refuses_state 'torn' truncate -s 100 "$record"
refuses_state 'torn' truncate -s 0 "$record"
refuses_state 'format version 2' sed -i 's/"baton": 1/"baton": 2/' "$record"
refuses_state 'it is not a disk file' cp "$T/c.state/service" "$record"
refuses_state 'is about disk ro' cp "$T/a.state/disk/ro.json" "$record"
refuses_state 'service is missing' rm "$T/c.state/service"
refuses_state 'torn' cp "$d" "$T/c.state/service"
refuses_state 'torn' cp "$d" "$T/c.state/group.json"

# Of a disk that was served, what is wrong with it is its own trouble.
# troubles FRAGMENT
troubles() {
    row="serve: $1"
    rm -rf "$T/c.state"
    cp -a "$T/saved" "$T/c.state"
    start_service c "${use[@]}"
    eq "$(status_of c d .state)" failed "state for $row"
    contains "$(status_of c d .reason)" "$1" "$row"
    stop_service c
    cmp "$T/saved/disk/d.json" "$record" || fail "another record after $row"
    nothing_changed service
}
truncate -s 512K "$d"
troubles 'the size is'
truncate -s 1M "$d"
use=(--disk "name=d,device=$d,readonly=on")
troubles 'it is read-only'
use=(--disk "name=d,device=$d,uuid=$U2")
troubles 'the record says uuid'

## Nothing hidden has changed: no epoch used up, no smaller promise

handoff vda a b >/dev/null
handoff vda b a >/dev/null
handoff gone b a >/dev/null
handoff next b a >/dev/null
eq "$(status_of a vda .epoch) $(status_of a gone .epoch) $(status_of a next .epoch)" \
    "3 3 2" "epochs of a's disks in the end"
client_does "read -P 2 4096 4k" "read 4096/4096"
io "$(uri_of a next)" "write -P 9 0 1M" "read -P 9 0 1M"
ledger_balances a vda
echo "$rows rows: ${rows_of[control]} control messages, ${rows_of[name]} export names," \
    "${rows_of[request]} requests, ${rows_of[service]} services; nothing changed"
