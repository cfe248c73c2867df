#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Everybody who must not come, to the NBD listener and to the control socket of a service
# with TLS: another authority's certificate, one that has expired, was revoked or is none,
# a name that is not allowed, a key that is not the user's, a client that speaks plain
# NBD or JSON, and one that says nothing. Each is refused, the log says why, and after
# each one a client that is welcome is served: on the same listeners, and the VM that was
# connected all the time. Then the other direction: a server that is not who it has to be.
# ctest: COST 350
# ctest: TIMEOUT 300
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../tls/lib.sh"
need qemu-io nbdinfo certtool psktool socat jq openssl

NBD=10.54.0.1:10809 CONTROL=tcp:10.54.0.1:10810
hosts_open
make_ca ca
make_ca other
here='ip_address = "10.54.0.1"'
make_host alpha ca "$here"
make_host beta ca 'ip_address = "10.54.0.2"'
make_host guest ca
make_host stranger other
cp -r "$T/stranger.pki" "$T/misled.pki" # trusts only the other authority
cp "$T/ca.pem" "$T/stranger.pki/ca-cert.pem"
make_host late ca 'activation_date = "2001-01-01 00:00:00"' 'expiration_date = "2002-01-01 00:00:00"'
make_host gone ca
revoke gone ca alpha
cp -r "$T/beta.pki" "$T/nobody.pki"
rm "$T/nobody.pki"/client-*

dev=$(new_device vda 16M)
open=$(new_device open 16M)
tcp_service a h1 --tls-certificates "$T/alpha.pki" \
    --disk "name=vda,device=$dev,peers-allowed=beta" --disk "name=open,device=$open"
uuid=$(status_of a vda .uuid)

# The VM that is connected all the time
mkfifo "$T/vm.in" "$T/vm.out"
setsid qemu-io -f raw "$(uri_of a vda)" <"$T/vm.in" >"$T/vm.out" 2>&1 &
SERVICE_PID[vm]=$!
exec 8>"$T/vm.in" 9<"$T/vm.out"
vm_lives() {
    local line
    echo 'write -P 5 0 4k' >&8
    while read -r -t 20 line <&9; do
        case $line in
        *wrote*) return 0 ;;
        *failed* | *rror*) break ;;
        esac
    done
    fail "$row: the VM got '${line-}'"
}

nbds() { # PKI EXPORT: what nbdinfo says to it, from the other host
    LD_PRELOAD='' on h2 timeout 30 nbdinfo --size \
        "nbds://$NBD/$2?tls-certificates=$T/$1.pki&tls-verify-peer=true" 2>&1
}
control() { # PKI ARGUMENT OF baton...
    local pki=$1
    shift
    on h2 timeout 30 "$BATON" "$@" --tls-certificates "$T/$pki.pki" 2>&1
}

welcome_by_certificate() {
    eq "$(nbds beta vda)" 16777216 "$row: beta asks for vda"
    eq "$(control beta status --at $CONTROL --json | jq -r .service)" a "$row: control"
    vm_lives
}
row=begin welcome=welcome_by_certificate
"$welcome"

# refused ROW LOG COMMAND...: it fails, the log says LOG (an extended regular expression)
refused() {
    local says=$2 status=0 out
    row=$1
    shift 2
    LOG_START_[a]=$(($(wc -l <"$(log_of a)") + 1))
    out=$("$@") || status=$?
    [ "$status" -ne 0 ] || fail "$row: was not refused: $out"
    wait_log a "$says" 15 || fail "$row: the log does not say '$says' ($out)"
    "$welcome"
}

plain_nbd() { LD_PRELOAD='' on h2 timeout 30 nbdinfo "nbd://$NBD/$1" 2>&1; }
plain_list() { LD_PRELOAD='' on h2 timeout 30 nbdinfo --list "nbd://$NBD" 2>&1; }
plain_json() {
    local out
    out=$(echo '{"jsonrpc":"2.0","id":1,"method":"status"}' |
        LD_PRELOAD='' on h2 timeout 30 socat -t 20 - "TCP:10.54.0.1:10810")
    ! grep -q service <<<"$out" || return 0
    return 1
}
silent() { # PORT: hold a connection; the service ends it within its time
    local status=0
    LD_PRELOAD='' on h2 timeout 25 socat -u "TCP:10.54.0.1:$1" "CREATE:$T/said" || status=$?
    [ "$status" -ne 124 ] || return 0 # it is still there
    return 1
}
stalls_in_tls() { # STARTTLS, and then nothing
    local status=0
    { printf '\0\0\0\3IHAVEOPT\0\0\0\5\0\0\0\0' && pause 25; } |
        LD_PRELOAD='' on h2 timeout 25 socat - "TCP:10.54.0.1:10809" >"$T/said" || status=$?
    [ "$status" -ne 124 ] || return 0
    return 1
}
channel() { # PKI: a channel to vda
    local name
    name=$(channel_name "$(right_of a vda)" "$uuid" 1 x 1)
    nbds "$1" "${name//;/%3B}"
}
channel_without_right() { # PKI
    local name
    name=$(channel_name 0123456789abcdef0123456789abcdef "$uuid" 1 x 1)
    nbds "$1" "${name//;/%3B}"
}
call_as() { # PKI METHOD PARAMS: any method, by openssl's TLS, which shows any certificate
    local out='' client to from
    [ -p "$T/call" ] || mkfifo "$T/call"
    exec {from}< <(LD_PRELOAD='' on h2 timeout 30 openssl s_client -quiet -no_ign_eof \
        -connect 10.54.0.1:10810 -cert "$T/$1.pki/client-cert.pem" \
        -key "$T/$1.pki/client-key.pem" -CAfile "$T/ca.pem" <"$T/call" 2>/dev/null)
    client=$!
    exec {to}>"$T/call" # open until there is an answer, or it has hung up
    (printf '{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\n' "$2" "$3" >&"$to") || true
    IFS= read -r out <&"$from" || true
    exec {to}>&- {from}<&-
    wait "$client" || true
    echo "$out"
    grep -q '"result"' <<<"$out"
}

# Who has only another authority's certificate does not even show it, if it is gnutls.
refused "NBD, another authority" 'refused a connection from 10.54.0.2: TLS: the client has no certificate of' \
    nbds stranger vda
refused "NBD, expired" 'refused a connection from .*expired' nbds late vda
refused "NBD, revoked" 'refused a connection from .*revoked' nbds gone vda
refused "NBD, no certificate" 'refused a connection from .*the client has no certificate of' nbds nobody vda
refused "NBD, name not allowed" 'disk vda is not for guest' nbds guest vda
refused "NBD, channel, name not allowed" 'disk vda is not for guest' channel guest
refused "NBD, channel without its right" 'does not prove its right' channel_without_right beta
refused "NBD, plaintext" 'a TCP connection needs TLS here' plain_nbd vda
refused "NBD, plaintext, a free disk" 'a TCP connection needs TLS here' plain_nbd open
refused "NBD, plaintext list" 'a TCP connection needs TLS here' plain_list
refused "NBD, silence" 'the client did not finish its handshake in time' silent 10809
refused "NBD, silence within TLS" 'refused a connection from' stalls_in_tls
eq "$(nbds guest open)" 16777216 "a disk without a list is for guest, too"

refused "control, another authority" 'refused a control connection from 10.54.0.2: .*NOT trusted.*issuer is unknown' \
    call_as stranger status '{}'
contains "$(call_as beta status '{}')" '"service"' "the same way as beta"
refused "control, expired" 'refused a control connection .*expired' call_as late status '{}'
refused "control, revoked" 'refused a control connection .*revoked' call_as gone status '{}'
refused "control, plaintext" 'refused a control connection .*' plain_json
refused "control, silence" 'refused a control connection .*the TLS handshake did not end in time' silent 10810

# Who has a name that the disk is not for gets a sentence, not silence.
row="control, name not allowed"
fails_with 1 'disk vda is not for guest' -- control guest park vda --at $CONTROL
fails_with 1 'disk vda is not for guest' -- control guest handoff vda --from $CONTROL --to unix:/x
fails_with 1 'disk vda is not for guest' -- control guest recover vda --at $CONTROL
contains "$(call_as guest peer.where "{\"uuid\":\"$uuid\"}" || true)" 'not for guest' peer.where
params="{\"from\":\"x\",\"disks\":[{\"name\":\"vda\",\"uuid\":\"$uuid\",\"epoch\":9}]}"
for method in prepare assign cancel; do
    contains "$(call_as guest "peer.$method" "$params" || true)" 'not for guest' "$method"
done
"$welcome"

# The server is not who it has to be: the same files under another address.
row="the server's name"
on h1 ip addr add 10.54.0.9/24 dev "bw-1-$$"
setsid nsenter --target "${HOST_PID[h1]}" --net -- socat "TCP-LISTEN:10811,bind=10.54.0.9,fork,reuseaddr" "TCP:10.54.0.1:10810" &
SERVICE_PID[relay]=$!
timeout 20 bash -c "until nsenter --target ${HOST_PID[h1]} --net -- ss -ltn | grep -q 10811; do :; done"
fails_with 1 'does not match' -- control beta status --at tcp:10.54.0.9:10811
fails_with 1 'NOT trusted' -- control misled status --at $CONTROL
stop_service a

# Pre-shared keys
row="begin of keys"
rm -rf "$T/a.state"
psktool -u alpha -p "$T/keys" >/dev/null 2>&1
psktool -u beta -p "$T/keys" >/dev/null 2>&1
psktool -u guest -p "$T/keys" >/dev/null 2>&1
psktool -u beta -p "$T/wrong" >/dev/null 2>&1
psktool -u nobody -p "$T/wrong" >/dev/null 2>&1
tcp_service a h1 --tls-psk "$T/keys" --tls-psk-user alpha \
    --disk "name=vda,device=$dev,peers-allowed=beta" --disk "name=open,device=$open"
exec 8>&- 9<&-
kill_service vm
nbd_psk() { # FILE USER EXPORT
    LD_PRELOAD='' on h2 timeout 30 nbdinfo --size "nbds://$2@$NBD/$3?tls-psk-file=$T/$1" 2>&1
}
control_psk() { # FILE USER ARGUMENT...
    local file=$1 user=$2
    shift 2
    on h2 timeout 30 "$BATON" "$@" --tls-psk "$T/$file" --tls-psk-user "$user" 2>&1
}
welcome_by_key() {
    eq "$(nbd_psk keys beta vda)" 16777216 "$row: beta asks for vda"
    eq "$(control_psk keys beta status --at $CONTROL --json | jq -r .service)" a "$row"
    io "$(uri_of a vda)" "read 0 4k"
}
welcome=welcome_by_key
"$welcome"
refused "NBD, another key" 'refused a connection from' nbd_psk wrong beta vda
refused "NBD, no such user" 'refused a connection from' nbd_psk wrong nobody vda
refused "NBD, user not allowed" 'disk vda is not for guest' nbd_psk keys guest vda
refused "control, another key" 'refused a control connection' \
    control_psk wrong beta status --at $CONTROL
refused "control, no such user" 'refused a control connection' \
    control_psk wrong nobody status --at $CONTROL
fails_with 1 'disk vda is not for guest' -- control_psk keys guest park vda --at $CONTROL
fails_with 2 'control over tcp needs TLS' -- on h2 "$BATON" status --at $CONTROL
"$welcome"
