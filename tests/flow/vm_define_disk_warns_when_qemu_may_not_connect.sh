#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# baton vm define-disk says when the user that libvirt runs QEMU as could not open the
# socket of the disk: the socket's own rights, or a folder of its path. The user is that of
# libvirt's qemu.conf, here one of our own in a mount namespace.
. "$(dirname "$0")/lib.sh"
need unshare jq
[ "$(id -u)" -eq 0 ] || skip "another user's rights are asked for as root"
[ -x "$BATON_BIN_DIR/baton-vm" ] || skip "built without libvirt"
[ -e /etc/libvirt/qemu.conf ] || skip "libvirt is not installed"
chmod 755 "$T"

said() { # CONFIGURATION OF QEMU'S USER: the warning about the socket, if any
    printf '# user = "root"\n%s\n' "$1" >"$T/qemu.conf"
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --propagation private bash -c 'mount --bind "$1" /etc/libvirt/qemu.conf &&
        exec "$2" vm define-disk D --at "$3" --reconnect-delay 0' - "$T/qemu.conf" "$BATON" \
        "$(control_of a)" 2>"$T/warning" >/dev/null
    cat "$T/warning"
}
none() { eq "$(said "$1")" "" "warning for a user that may connect ($1)"; }

start_service a --socket-group 63001 --disk "name=D,device=$(new_device d 1M)"

none 'user = "root"'
none $'user = "+63002"\ngroup = "+63001"'
contains "$(said $'user = "+63002"\ngroup = "+63002"')" \
    "QEMU's user +63002 (see /etc/libvirt/qemu.conf) cannot open $(socket_of a)" "warning"
contains "$(said $'user = "+63002"\ngroup = "+63002"')" "--socket-group" "warning"
if id libvirt-qemu >/dev/null 2>&1; then
    contains "$(said '')" "QEMU's user libvirt-qemu" "warning for libvirt's default"
fi
chmod 750 "$T"
contains "$(said $'user = "+63002"\ngroup = "+63001"')" \
    "cannot enter $T (owner 0, group 0, mode 0750); let it through" "warning"
chmod 755 "$T"
