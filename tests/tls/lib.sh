# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# lib.sh - certificates, keys and network namespaces for flow tests; after ../flow/lib.sh.

# make_ca NAME: an authority of our own, $T/NAME.pem
make_ca() {
    certtool --generate-privkey --key-type=ecdsa --outfile "$T/$1.key" >/dev/null 2>&1
    printf 'cn = "%s"\nca\ncert_signing_key\ncrl_signing_key\nexpiration_days = 2\n' "$1" \
        >"$T/$1.tmpl"
    certtool --generate-self-signed --load-privkey "$T/$1.key" --template "$T/$1.tmpl" \
        --outfile "$T/$1.pem" >/dev/null 2>&1
}

# make_host NAME CA [LINE OF THE TEMPLATE]...: $T/NAME.pki, as nbdkit and libvirt want it;
# both certificates have the name, the server's also the lines.
make_host() {
    local name=$1 ca=$2 dir=$T/$1.pki kind
    shift 2
    mkdir "$dir"
    cp "$T/$ca.pem" "$dir/ca-cert.pem"
    for kind in server client; do
        certtool --generate-privkey --key-type=ecdsa --outfile "$dir/$kind-key.pem" \
            >/dev/null 2>&1
        printf '%s\n' "cn = \"$name\"" "tls_www_$kind" signing_key "$@" >"$dir/tmpl"
        certtool --generate-certificate --load-ca-certificate "$T/$ca.pem" \
            --load-ca-privkey "$T/$ca.key" --load-privkey "$dir/$kind-key.pem" \
            --template "$dir/tmpl" --outfile "$dir/$kind-cert.pem" >/dev/null 2>&1
    done
}

# host_open NAME ADDRESS: a network namespace, HOST_NS[NAME], to be linked with another
declare -A HOST_PID=() HOST_IP=()
host_open() {
    unshare --net sleep infinity &
    HOST_PID[$1]=$!
    HOST_IP[$1]=$2
    until [ "$(readlink "/proc/${HOST_PID[$1]}/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
        kill -0 "${HOST_PID[$1]}" 2>/dev/null || skip "no network namespaces here"
    done
    on "$1" ip link set lo up
}

# on HOST COMMAND...: in its network
on() {
    local host=$1
    shift
    nsenter --target "${HOST_PID[$host]}" --net -- "$@"
}

# Two hosts with a wire between them: h1 and h2
hosts_open() {
    [ "$(id -u)" -eq 0 ] || skip "network namespaces need root"
    at_exit hosts_close
    host_open h1 10.54.0.1
    host_open h2 10.54.0.2
    ip link add name "bw-1-$$" netns "${HOST_PID[h1]}" type veth \
        peer name "bw-2-$$" netns "${HOST_PID[h2]}" || skip "no veth here"
    local i
    for i in 1 2; do
        on "h$i" ip addr add "${HOST_IP[h$i]}/24" dev "bw-$i-$$"
        on "h$i" ip link set "bw-$i-$$" up
    done
}

hosts_close() {
    local host
    for host in "${!HOST_PID[@]}"; do
        kill -KILL "${HOST_PID[$host]}" 2>/dev/null || true
        wait "${HOST_PID[$host]}" 2>/dev/null || true
    done
}

# tcp_service NAME HOST ARGUMENT...: start_service on HOST, also listening on its address:
# port 10809 for disks, 10810 for control. Only the address is announced: the unix socket
# could be reached from the other host, too, since they share the file system.
tcp_service() {
    local name=$1 ip=${HOST_IP[$2]}
    SERVICE_ENTER=(nsenter --target "${HOST_PID[$2]}" --net --)
    shift 2
    start_service "$name" --listen "tcp:$ip:10809" --announce "tcp:$ip:10809" \
        --control "tcp:$ip:10810" "$@"
    # shellcheck disable=SC2034 # start_service reads it
    SERVICE_ENTER=()
}
tcp_of() { echo "tcp:${HOST_IP[$1]}:10809"; }
control_tcp_of() { echo "tcp:${HOST_IP[$1]}:10810"; }

# revoke NAME CA HOST: from now on HOST knows that the client certificate of NAME is void
revoke() {
    printf 'crl_next_update = 2\ncrl_number = 1\n' >"$T/crl.tmpl"
    certtool --generate-crl --load-ca-privkey "$T/$2.key" --load-ca-certificate "$T/$2.pem" \
        --load-certificate "$T/$1.pki/client-cert.pem" --template "$T/crl.tmpl" \
        --outfile "$T/$3.pki/ca-crl.pem" >/dev/null 2>&1
}
