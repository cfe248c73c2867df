# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# vm_hook.sh - what libvirtd would do with the hook, and qemu-io as the VM, for flow tests
# with services a and b and a disk vda. After flow/lib.sh.
VM_UUID=0a0b0c0d-1111-2222-3333-444455556666

# hook SERVICE OP SUB-OP [UUID]: libvirt's call on the host of that service
hook() {
    hook_xml "$1" "$2" "$3" < <(domain "$(socket_of "$1")" "${4-$VM_UUID}")
}
# The same with the domain's XML from standard input.
hook_xml() {
    local conf=$T/$1.hook peer=a
    [ "$1" != a ] || peer=b
    printf 'control = %s # of this host\nsocket = %s\n\npeer = %s\ntimeout = 10s\n' \
        "$(control_of "$1")" "$(socket_of "$1")" "$(control_of "$peer")" >"$conf"
    [ ! -e "$T/policy" ] || cat "$T/policy" >>"$conf"
    BATON_HOOK_CONF=$conf timeout 20 "$BATON_BIN_DIR/baton-libvirt-hook" web "$2" "$3" -
}
# The VM migrates to that host: it is announced, and then prepared.
arrives() { # SERVICE [UUID]
    hook "$1" migrate begin "${@:2}"
    hook "$1" prepare begin "${@:2}"
}
domain() {
    cat <<END
<domain type='qemu'><name>web</name><uuid>$2</uuid><devices>
<disk type='file' device='cdrom'><source file='/x.iso'/><target dev='sda'/></disk>
<disk type='network' device='disk'><source protocol='nbd' name='vda'>
<host transport='unix' socket='$1'/></source><target dev='vda'/></disk>
<disk type='network'><source protocol='nbd' name='foreign'>
<host transport='unix' socket='/run/other.nbd'/></source><target dev='vdb'/></disk>
</devices></domain>
END
}
# domain_of SOCKET UUID DISK...: a domain with these disks
domain_of() {
    local socket=$1 uuid=$2 disk
    shift 2
    echo "<domain type='qemu'><name>web</name><uuid>$uuid</uuid><devices>"
    for disk in "$@"; do
        echo "<disk type='network' device='disk'><source protocol='nbd' name='$disk'>" \
            "<host transport='unix' socket='$socket'/></source><target dev='v$disk'/></disk>"
    done
    echo "</devices></domain>"
}

# vm_hold SERVICE DISK...: a process that has these disks open, as a QEMU does whose guest
# does nothing; a disk "ro:NAME" for reading only. Sets HELD, its pid.
vm_hold() {
    local socket disk i=0 ro
    local -a args=()
    socket=$(socket_of "$1")
    shift
    for disk in "$@"; do
        ro=off
        [ "$disk" = "${disk#ro:}" ] || ro=on
        i=$((i + 1))
        args+=(--blockdev "driver=nbd,node-name=n$i,read-only=$ro,export=${disk#ro:},\
server.type=unix,server.path=$socket")
    done
    NR_HELD=$((NR_HELD + 1))
    qemu-storage-daemon "${args[@]}" --pidfile "$T/held.$NR_HELD" >>"$T/held.log" 2>&1 &
    # shellcheck disable=SC2034 # for the test
    HELD=$!
    await_file "$T/held.$NR_HELD"
}
NR_HELD=0
vm_let_go() { # PID
    kill -TERM "$1"
    wait "$1" || true
}

# vm_open SERVICE [DISK], vm_do COMMAND, vm_close: a VM that has the disk open
vm_open() {
    rm -f "$T/vm.in"
    mkfifo "$T/vm.in"
    : >"$T/vm.log"
    exec {VM_IN}<>"$T/vm.in"
    stdbuf -oL qemu-io -f raw "$(uri_of "$1" "${2-vda}")" <"$T/vm.in" >"$T/vm.log" 2>&1 &
    VM=$!
    vm_do "read 0 512" 'read 512/512'
}
vm_do() { # COMMAND ANSWER
    echo "$1" >&"$VM_IN"
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout 20 bash -c 'until grep -q "$1" "$2"; do kill -0 "$3" || exit; done' - \
        "$2" "$T/vm.log" "$VM" || fail "the VM does not answer $1: $(cat "$T/vm.log")"
}
vm_kill() {
    kill -KILL "$VM"
    wait "$VM" 2>/dev/null || true # killed on purpose
    exec {VM_IN}>&-
}
vm_close() {
    echo quit >&"$VM_IN"
    wait "$VM" || true
    exec {VM_IN}>&-
}

# said NAME REGEX N: the log has N such lines by now, or will have
said() {
    local end=$((SECONDS + 20))
    until [ "$(grep -cE "$2" "$(log_of "$1")")" -ge "$3" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "$1 does not say '$2' $3 times"
        pause 0.05
    done
}
