#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# baton vm migrate refuses what cannot end well before libvirt is asked: a host without
# the memory for the domain, a service that speaks another version. libvirt's own test
# driver plays both hosts; it cannot migrate, so what is let through fails for no reason.
. "$(dirname "$0")/lib.sh"
need jq socat
[ -x "$BATON_BIN_DIR/baton-vm" ] || skip "built without libvirt"
device=$(new_device d 1M)
start_service a --disk "name=D,device=$device"
start_service b --disk "name=D,device=$device,role=standby"

# node FILE DOMAIN-KIB: a host of the test driver where web runs
node() {
    cat >"$T/$1.xml" <<END
<node><domain type='test'><name>web</name><memory>$2</memory><os><type>hvm</type></os>
<devices><disk type='network' device='disk'>
<source protocol='nbd' name='D'><host transport='unix' socket='$(socket_of a)'/></source>
<target dev='vda'/></disk></devices></domain></node>
END
}
node large 262144
node small 1024

migrate() { # HERE DEST [OPTION]...
    baton vm migrate web "test://$2" --at "$(control_of a)" \
        --connect "test://$T/$1.xml" --to "${TO-$(control_of b)}" "${@:3}"
}
there=/default # has 3 MiB free
fails_with 1 "web needs 256 MiB of memory, and the host at test:///default has only " -- \
    migrate large $there
eq "$(status_of b D .role)" standby "role at b after a refusal"
fails_with 1 "libvirt: it gives no reason" -- migrate large $there --ignore-memory
eq "$(status_of b D .role)" given "role at b after what can be looked at"
fails_with 1 "libvirt: it gives no reason" -- migrate small $there
fails_with 1 "warning: the free memory of the other host is not known: test://$T/none.xml: " -- \
    migrate small "$T/none.xml"

# A service of another time: it answers "status", and nothing else matters.
cat >"$T/old" <<'END'
#!/bin/sh
read -r line
echo '{"jsonrpc":"2.0","id":1,"result":null}'
read -r line
echo '{"jsonrpc":"2.0","id":2,"result":{"service":"old","version":"7.1.0","listen":[],"disks":[]}}'
END
chmod +x "$T/old"
socat "UNIX-LISTEN:$T/old.ctl,fork" "EXEC:$T/old" &
old=$!
at_exit "kill $old"
# shellcheck disable=SC2016 # expanded by the inner shell
timeout 20 bash -c 'until [ -S "$0" ]; do :; done' "$T/old.ctl"
TO=unix:$T/old.ctl
fails_with 1 "and old runs Baton 7.1.0; these versions do not work together" -- migrate small $there
stop_service a
stop_service b
