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
start_service a --disk "name=vda,device=$dev"
start_service b --disk "name=vda,device=$dev,role=standby"
baton attach vda --at "$(control_of b)" --owner "ssh://other$T/a.ctl" --deadline 60s \
    >/dev/null || fail "b does not become a client of a"
eq "$(roles_of vda)" "owner given" "roles after that"
