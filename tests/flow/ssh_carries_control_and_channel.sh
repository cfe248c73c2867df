#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Control by ssh://, and the channel by unix sockets that ssh forwards: through a real
# sshd of our own, on a port of its own with keys of its own, in a network namespace. The
# disk goes there and back, the client follows; then the ssh connection of the channel is
# cut and comes back, and no request is lost.
. "$(dirname "$0")/lib.sh"
need qemu-io ssh ssh-keygen unshare nsenter ip
[ "$(id -u)" -eq 0 ] || skip "sshd needs root"
sshd=$(command -v sshd || echo /usr/sbin/sshd)
[ -x "$sshd" ] || skip "sshd is not installed"

ssh-keygen -q -t ed25519 -N '' -f "$T/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$T/user_key"
mkdir "$T/bin"
# HOME: root's own .bashrc, which bash reads for ssh, may take seconds.
cat >"$T/sshd_config" <<END
ListenAddress 127.0.0.1:2222
HostKey $T/host_key
AuthorizedKeysFile $T/user_key.pub
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
SetEnv PATH=$T/remote:$PATH HOME=$T
END
cat >"$T/ssh_config" <<END
Host other
    HostName 127.0.0.1
    Port 2222
    User root
    IdentityFile $T/user_key
    IdentitiesOnly yes
    UserKnownHostsFile $T/known_hosts
    StrictHostKeyChecking yes
    StreamLocalBindUnlink yes
END
echo "[127.0.0.1]:2222 $(cat "$T/host_key.pub")" >"$T/known_hosts"
mkdir "$T/remote"
printf '#!/bin/sh\nexec /usr/bin/ssh -F %s "$@"\n' "$T/ssh_config" >"$T/bin/ssh"
printf '#!/bin/sh\nLD_PRELOAD= exec %s "$@"\n' "$BATON" >"$T/remote/baton"
chmod +x "$T/bin/ssh" "$T/remote/baton"
export PATH="$T/bin:$PATH"

# sshd wants /run/sshd, which need not be there: a /run and a network of its own. The
# services are in the same network.
setsid unshare --mount --net --propagation private bash -c "ip link set lo up &&
    mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec $sshd -D -e -f '$T/sshd_config'" \
    >"$T/sshd.log" 2>&1 </dev/null &
SERVICE_PID[sshd]=$!
LOG_START_[sshd]=1
wait_log sshd 'Server listening' || fail "sshd does not listen"
SERVICE_ENTER=(nsenter --target "${SERVICE_PID[sshd]}" --net --)

forward() { # NAME: the unix socket of service NAME as others reach it
    LD_PRELOAD='' setsid "${SERVICE_ENTER[@]}" ssh -N -o ExitOnForwardFailure=yes \
        -L "$T/to-$1.nbd:$T/$1.nbd" other >>"$T/forward.log" 2>&1 </dev/null &
    SERVICE_PID[forward-$1]=$!
    # shellcheck disable=SC2016 # of the inner shell
    timeout 20 bash -c 'until [ -S "$1" ]; do :; done' - "$T/to-$1.nbd" || fail "no forward"
}
over_ssh() { echo "ssh://other$T/$1.ctl"; }

dev=$(new_device vda 16M)
start_service a --announce "unix:$T/to-a.nbd" --disk "name=vda,device=$dev"
start_service b --announce "unix:$T/to-b.nbd" --disk "name=vda,device=$dev,role=standby"
forward a
forward b
io "$(uri_of a vda)" "write -P 1 0 64k"
"${SERVICE_ENTER[@]}" "$BATON" status --at "$(over_ssh b)" >/dev/null || fail "status over ssh"
baton handoff vda --from "$(control_of a)" --to "$(over_ssh b)" --quiet
eq "$(roles_of vda)" "given owner" "roles after the handoff"
io "$(uri_of a vda)" "read -P 1 0 64k" "write -P 2 0 64k"

kill_service forward-b
rm -f "$T/to-b.nbd"
io "$(uri_of a vda)" "write -P 3 64k 64k" "flush" & # waits for the channel
writer=$!
forward b
wait "$writer" || fail "a write while the channel was away"
io "$(uri_of a vda)" "read -P 2 0 64k" "read -P 3 64k 64k"

baton handoff vda --from "$(control_of b)" --to "$(over_ssh a)" --quiet
io "$(uri_of b vda)" "read -P 2 0 64k" "read -P 3 64k 64k"
ledger_balances a vda
ledger_balances b vda
