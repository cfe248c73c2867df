#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A host that takes its time to let ssh in is no host that does not answer: the owner is
# found there. (A busy host, a name server that is slow: 3 s are not rare.)
. "$(dirname "$0")/lib.sh"
mkdir "$T/bin"
cat >"$T/bin/ssh" <<END
#!/bin/sh
sleep 3
LD_PRELOAD= exec '$BATON' proxy '$T/a.ctl'
END
chmod +x "$T/bin/ssh"
export PATH="$T/bin:$PATH"

dev=$(new_device vda 16M)
vdb=$(new_device vdb 16M)
start_service a --disk "name=vda,device=$dev" --disk "name=vdb,device=$vdb"
start_service b --disk "name=vda,device=$dev,role=standby" \
    --disk "name=vdb,device=$vdb,role=standby"
over_ssh=ssh://other$T/a.ctl
baton attach vda --at "$(control_of b)" --owner "$over_ssh" --deadline 60s >/dev/null ||
    fail "b does not become a client of a"
eq "$(roles_of vda)" "owner given" "roles after baton attach"

# libvirt's test driver, which cannot migrate: what is asked is before that.
[ -x "$BATON_BIN_DIR/baton-vm" ] || skip "built without libvirt"
cat >"$T/node.xml" <<END
<node><domain type='test'><name>web</name><memory>1024</memory><os><type>hvm</type></os>
<devices><disk type='network' device='disk'>
<source protocol='nbd' name='vdb'><host transport='unix' socket='$(socket_of a)'/></source>
<target dev='vda'/></disk></devices></domain></node>
END
fails_with 1 "libvirt: it gives no reason" -- baton vm migrate web test:///default --at "$over_ssh" \
    --connect "test://$T/node.xml" --to "$(control_of b)"
eq "$(roles_of vdb)" "owner given" "roles after baton vm migrate has looked"
