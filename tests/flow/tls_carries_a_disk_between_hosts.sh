#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two services in two network namespaces with a wire between them, and one device that
# both can reach. The disk goes there and back over TLS, by certificates and then by
# pre-shared keys; a VM's client stays where it is, its requests follow the owner. The
# stall is printed. All that is on the wire is recorded: a marked block is not there in
# plain; with insecure-plain-tcp=on it is, so the recording sees what there is to see.
# Who may write is handed on with the way by which the new owner can ask.
# ctest: LABELS flow;short
# ctest: TIMEOUT 300
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../tls/lib.sh"
need qemu-io certtool psktool nsenter unshare ip tcpdump jq
hosts_open

MARK='BATON-MARKED-BLOCK-0123456789'
rounds=${ROUNDS:-5} # there and back

# record FILE: all that passes the wire, until stop_recording
record() {
    setsid nsenter --target "${HOST_PID[h1]}" --net -- tcpdump -i "bw-1-$$" -U --immediate-mode -w "$1" -s 0 2>"$T/tcpdump.log" &
    RECORDER=$!
    SERVICE_PID[recorder]=$RECORDER # ends with the test
    await_listening
}
await_listening() {
    # shellcheck disable=SC2016 # of the inner shell
    timeout 20 bash -c 'until grep -q "listening on" "$1"; do read -rt 0.05 <>"$2" || true; done' \
        - "$T/tcpdump.log" "$T/never" || fail "tcpdump does not start"
}
stop_recording() {
    kill -TERM "$RECORDER"
    wait "$RECORDER" || true
    unset 'SERVICE_PID[recorder]'
}
mkfifo "$T/never"

# carry OPTION...: handoffs between services a and b that are given OPTIONs; each time the
# client of a writes and reads what it wrote before
carry() {
    local i stalls=()
    for ((i = 0; i < rounds; i++)); do
        stalls+=("$(baton handoff vda --from "$(control_of a)" --to "$(peer_of b)" --json |
            jq .stall_us)") || fail "handoff $i to b"
        eq "$(roles_of vda)" "given owner" "roles in round $i"
        contains "$(baton lease vda --at "$(control_of b)" --json | jq -c '.leases[].control')" \
            "\"$(peer_of b | cut -d: -f1):" "where b asks who has it"
        io "$(uri_of a vda)" "read -P $((i + 1)) 4k 4k" "write -P $((i + 2)) 4k 4k" \
            "write -s $T/mark 64k 4k" "flush" || fail "client of a, while b owns"
        stalls+=("$(baton handoff vda --from "$(control_of b)" --to "$(peer_of a)" --json |
            jq .stall_us)") || fail "handoff $i to a"
        io "$(uri_of b vda)" "read -P $((i + 2)) 4k 4k" || fail "client of b, while a owns"
    done
    printf '%s\n' "${stalls[@]}" | sort -n | awk -v what="$1" '{s[NR] = $1} END {
        printf "stall over %s, %d handoffs: median %d us, longest %d us\n",
            what, NR, s[int((NR + 1) / 2)], s[NR]}'
}
peer_of() { control_tcp_of "${PEER_HOST[$1]}"; }
declare -A PEER_HOST=([a]=h1 [b]=h2)

# run_pair WHAT: both services with the options in A and B, recorded
run_pair() {
    local what=$1
    tcp_service a h1 --disk "name=vda,device=$dev,cache=none,writers=one${lists[a]-}" "${A[@]}"
    tcp_service b h2 --disk "name=vda,device=$dev,cache=none,writers=one,role=standby${lists[b]-}" \
        "${B[@]}"
    io "$(uri_of a vda)" "write -P 1 4k 4k"
    record "$T/$what.pcap"
    carry "$what"
    stop_recording
    ledger_balances a vda
    ledger_balances b vda
    stop_service b
    stop_service a
}
on_the_wire() { grep -aqF "$MARK" "$T/$1.pcap"; }

dev=$(new_device vda 64M)
for ((n = 0; n < 4096 / ${#MARK}; n++)); do printf %s "$MARK"; done >"$T/mark"
declare -A lists=()

make_ca ca
make_host alpha ca 'ip_address = "10.54.0.1"' 'dns_name = "alpha.example"'
make_host beta ca 'ip_address = "10.54.0.2"'
A=(--tls-certificates "$T/alpha.pki")
B=(--tls-certificates "$T/beta.pki")
lists=([a]=',peers-allowed=beta' [b]=',peers-allowed=ops,,ALPHA.example')
run_pair certificates
! on_the_wire certificates || fail "the marked block is on the wire"
[ "$(stat -c %s "$T/certificates.pcap")" -gt 20000 ] || fail "nothing was recorded"

rm -rf "$T/a.state" "$T/b.state"
psktool -u alpha -p "$T/keys" >/dev/null 2>&1
psktool -u beta -p "$T/keys" >/dev/null 2>&1
A=(--tls-psk "$T/keys" --tls-psk-user alpha)
B=(--tls-psk "$T/keys" --tls-psk-user beta)
lists=([a]=',peers-allowed=beta' [b]=',peers-allowed=alpha')
run_pair keys
! on_the_wire keys || fail "the marked block is on the wire"

# What must be seen when there is no TLS. Control is by the unix sockets then.
rm -rf "$T/a.state" "$T/b.state"
A=(--insecure-plain-tcp on)
B=(--insecure-plain-tcp on)
lists=()
tcp_service() { # without control over tcp
    local name=$1 ip=${HOST_IP[$2]}
    SERVICE_ENTER=(nsenter --target "${HOST_PID[$2]}" --net --)
    shift 2
    start_service "$name" --listen "tcp:$ip:10809" --announce "tcp:$ip:10809" "$@"
    SERVICE_ENTER=()
}
peer_of() { control_of "$1"; }
rounds=1
run_pair plain
on_the_wire plain || fail "the recording does not see a plain block: it proves nothing"
