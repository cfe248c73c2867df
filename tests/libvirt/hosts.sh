# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# hosts.sh - two complete libvirt hosts on one machine, each in mount, UTS and network
# namespaces of its own with its own /etc/libvirt, /run/libvirt, /var/lib/libvirt.
# For tests and scripts/demo --libvirt; needs root, libvirt-daemon-system, iproute2.
# Everything is below $T (tests/flow/lib.sh) and goes away with the test.
#
#   hosts_start               both hosts, "a" 10.53.0.1 and "b" 10.53.0.2, up and answering
#   on HOST COMMAND...        run in the namespaces of the host
#   virsh_on HOST ARGUMENT... its virsh
#   libvirtd_restart HOST
# A function host_prepare HOST ETC-LIBVIRT, if there is one, may add files before libvirtd
# starts (it looks for hooks only then).
declare -A HOST_PID=() LIBVIRTD_PID=()
HOST_NET=10.53.0

host_ip() {
    case "$1" in a) echo "$HOST_NET.1" ;; b) echo "$HOST_NET.2" ;; esac
}

on() {
    local host=$1
    shift
    nsenter --target "${HOST_PID[$host]}" --mount --uts --net -- "$@"
}

# The parent of the namespaces; what runs in them is ended by its own pid.
host_open_() {
    local host=$1 dir=$T/host.$1 path
    mkdir -p "$dir"
    for path in etc run lib cache log; do
        mkdir -p "$dir/$path/libvirt"
    done
    unshare --mount --uts --net --propagation private sleep infinity &
    HOST_PID[$host]=$!
    # Until exec has happened the namespaces may still be ours.
    while [ "$(readlink "/proc/${HOST_PID[$host]}/ns/net")" = "$(readlink /proc/self/ns/net)" ] ||
        [ "$(cat "/proc/${HOST_PID[$host]}/comm")" != sleep ]; do
        kill -0 "${HOST_PID[$host]}" || return
    done
    cp -r /etc/libvirt/. "$dir/etc/libvirt/"
    rm -rf "$dir/etc/libvirt/qemu/networks/autostart" "$dir/etc/libvirt/storage" \
        "$dir/etc/libvirt/hooks"
    mkdir -p "$dir/etc/libvirt/hooks/qemu.d"
    host_write_config_ "$host" "$dir/etc/libvirt"
    if declare -F host_prepare >/dev/null; then
        host_prepare "$host" "$dir/etc/libvirt"
    fi
    on "$host" hostname "host-$host"
    for path in etc:/etc/libvirt run:/run/libvirt lib:/var/lib/libvirt \
        cache:/var/cache/libvirt log:/var/log/libvirt; do
        mkdir -p "${path#*:}"
        on "$host" mount --bind "$dir/${path%%:*}/libvirt" "${path#*:}"
    done
    # The guests are emulated. As long as libvirt and its probing QEMU do not agree whether
    # QEMU's user may open this, everything is probed again for each command, 4 s each time.
    if [ -e /dev/kvm ]; then
        install -m 000 /dev/null "$dir/no-kvm"
        on "$host" mount --bind "$dir/no-kvm" /dev/kvm
    fi
    printf '127.0.0.1 localhost\n%s host-a\n%s host-b\n' "$(host_ip a)" "$(host_ip b)" \
        >"$dir/hosts"
    on "$host" mount --bind "$dir/hosts" /etc/hosts
    on "$host" ip link set lo up
}

host_write_config_() {
    local host=$1 dir=$2
    cat >"$dir/libvirtd.conf" <<END
listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
listen_addr = "$(host_ip "$host")"
host_uuid = "$(cat /proc/sys/kernel/random/uuid)"
unix_sock_dir = "/run/libvirt"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
END
    # QEMU's user is the stock one, which is not root. But the two hosts share the files of
    # the guest, and must not take turns in giving them to it.
    cat >"$dir/qemu.conf" <<END
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
migration_host = "$(host_ip "$host")"
migration_address = "$(host_ip "$host")"
END
}

hosts_link_() {
    ip link add name "bt-a-$$" netns "${HOST_PID[a]}" type veth \
        peer name "bt-b-$$" netns "${HOST_PID[b]}"
    local host
    for host in a b; do
        on "$host" ip addr add "$(host_ip "$host")/24" dev "bt-$host-$$"
        on "$host" ip link set "bt-$host-$$" up
    done
}

libvirtd_start() {
    # Not by on(): a function in the background is a shell of its own, whose end would
    # not be libvirtd's. nsenter becomes libvirtd.
    nsenter --target "${HOST_PID[$1]}" --mount --uts --net -- libvirtd --listen \
        --pid-file /run/libvirt/libvirtd.pid >>"$T/host.$1/libvirtd.out" 2>&1 </dev/null &
    LIBVIRTD_PID[$1]=$!
}

libvirtd_stop() {
    kill -TERM "${LIBVIRTD_PID[$1]}" 2>/dev/null || true
    wait "${LIBVIRTD_PID[$1]}" 2>/dev/null || true
    unset "LIBVIRTD_PID[$1]"
}

libvirtd_restart() {
    libvirtd_stop "$1"
    libvirtd_start "$1"
    libvirtd_await "$1"
}

# Waits until the daemon answers.
libvirtd_await() {
    local deadline=$((SECONDS + 30))
    until virsh_on "$1" version >/dev/null 2>&1; do
        if ! kill -0 "${LIBVIRTD_PID[$1]}" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            fail "libvirtd of host $1 does not answer: $(cat "$T/host.$1/libvirtd.out")"
        fi
    done
}

virsh_on() {
    local host=$1
    shift
    on "$host" virsh -q -c 'qemu:///system' "$@"
}

hosts_start() {
    local host
    at_exit hosts_stop
    for host in a b; do
        host_open_ "$host" || fail "no namespaces for host $host"
    done
    hosts_link_
    for host in a b; do
        libvirtd_start "$host"
    done
    for host in a b; do
        libvirtd_await "$host"
    done
}

# QEMUs first, by the pids that libvirt wrote down; then the daemons, then the namespaces.
hosts_stop() {
    local host file pid
    for host in "${!HOST_PID[@]}"; do
        for file in "$T/host.$host"/run/libvirt/qemu/*.pid; do
            pid=$(cat "$file" 2>/dev/null) || continue
            kill -KILL "$pid" 2>/dev/null || true
        done
        [ -z "${LIBVIRTD_PID[$host]-}" ] || libvirtd_stop "$host"
        kill -KILL "${HOST_PID[$host]}" 2>/dev/null || true
        wait "${HOST_PID[$host]}" 2>/dev/null || true
        unset "HOST_PID[$host]"
    done
}
