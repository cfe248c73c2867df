#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# QEMU seldom runs as root. The sockets of VMs have the owner, group and mode that the
# service is told, by options or by its file; the control socket is the owner's alone until
# it is given a group. The folder of a socket is made if it is not there, one level of it.
. "$(dirname "$0")/lib.sh"
need nbdinfo setpriv jq
[ "$(id -u)" -eq 0 ] || skip "only root gives a socket to others"
chmod 755 "$T"
# Others may not even see the tree.
cp "$BATON_BIN_DIR/baton" "$BATON_BIN_DIR"/*.so "$T"
umask 077
member=63001 stranger=63002 # users and groups without a name will do

as() { # ID COMMAND...: as this user, in the group of the same number
    timeout 20 env LD_PRELOAD= setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"
}
rights() { stat -c '%u:%g %a' "$1"; }
size_as() { as "$1" nbdinfo --size "$(uri_of a vda)"; }

dev=$(new_device vda 1M)
start_service a --socket-group "$member" --disk "name=vda,device=$dev"
eq "$(rights "$(socket_of a)")" "0:$member 660" "the socket of VMs"
eq "$(rights "$T/a.ctl")" "0:0 600" "the control socket"
eq "$(size_as "$member")" 1048576 "size, as a VM of the group sees it"
fails_with 1 "Permission denied" -- size_as "$stranger"
fails_with 1 "Permission denied" -- as "$member" "$T/baton" status --at "$(control_of a)"
stop_service a

cat >"$T/a.conf" <<END
socket-owner = $member;
socket-group = "root";
socket-mode = "0606";
control-group = $stranger;
END
start_service a --config "$T/a.conf" --disk "name=vda,device=$dev"
eq "$(rights "$(socket_of a)")" "$member:0 606" "the socket of VMs"
eq "$(rights "$T/a.ctl")" "0:$stranger 660" "the control socket"
eq "$(size_as "$stranger")" 1048576 "size, as a VM of anybody sees it"
eq "$(as "$stranger" "$T/baton" status --at "$(control_of a)" --json | jq -r .service)" a "status"
stop_service a

start() { # OPTION...: a service whose sockets are in $T/run
    fails_with 1 "$2" -- env LD_PRELOAD="${BATON_PRELOAD-}" "$BATON" serve --name c \
        --listen "unix:$1/c.nbd" --control "unix:$1/c.ctl" --state-dir "$T/c.state" \
        --disk "name=vdb,device=$T/none"
}
# Refused for its device: its folder is there, and as it has to be.
start "$T/run" "vdb"
eq "$(rights "$T/run")" "0:0 755" "the folder that was made"
start "$T/deep/run" "listen on unix:$T/deep/run/c.nbd: the folder $T/deep/run is not there, and cannot be made: No such file or directory"
[ ! -e "$T/deep" ] || fail "a folder too many was made"

# Who is not root cannot give a socket away.
mkdir -m 777 "$T/open"
touch "$T/open/disk"
fails_with 1 "this user may not give the socket that owner or group" -- as "$member" "$T/baton" serve \
    --name c --listen "unix:$T/open/c.nbd" --control "unix:$T/open/c.ctl" \
    --state-dir "$T/open/state" --socket-group "$stranger" --disk "name=D,device=$T/open/disk"
[ ! -e "$T/open/c.nbd" ] || fail "a socket stays behind"
