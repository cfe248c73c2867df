#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# release only
# ctest: TIMEOUT 600
# Each service reaches the other one by ssh only: control by ssh://, the channel by a unix
# socket that ssh forwards; so does the hook, which passes the peer's URI on. The VM
# migrates there and back by "baton vm migrate"; the owner follows, "baton vm list" by
# ssh says so, and the guest sees no error.
. "$(dirname "$0")/lib.sh"
need_libvirt
need ssh ssh-keygen
sshd=$(command -v sshd || echo /usr/sbin/sshd)
[ -x "$sshd" ] || skip "sshd is not installed"

# A real sshd for each connection, on the standard input of what ssh runs in place of a
# TCP connection: no port, and no daemon that would have to be ended.
mkdir "$T/bin" "$T/remote"
ssh-keygen -q -t ed25519 -N '' -f "$T/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$T/user_key"
# HOME: root's own .bashrc, which bash reads for ssh, may take seconds.
cat >"$T/sshd_config" <<END
HostKey $T/host_key
AuthorizedKeysFile $T/user_key.pub
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
SetEnv PATH=$T/remote:$PATH HOME=$T
END
cat >"$T/bin/sshd-once" <<END
#!/bin/sh
exec unshare --mount --propagation private sh -c "mount -t tmpfs tmpfs /run &&
    mkdir /run/sshd && exec $sshd -i -e -f '$T/sshd_config' 2>>'$T/sshd.log'"
END
cat >"$T/ssh_config" <<END
Host host-a host-b
    ProxyCommand $T/bin/sshd-once
    HostKeyAlias other
    User root
    IdentityFile $T/user_key
    IdentitiesOnly yes
    UserKnownHostsFile $T/known_hosts
    StrictHostKeyChecking yes
    StreamLocalBindUnlink yes
END
echo "other $(cat "$T/host_key.pub")" >"$T/known_hosts"
printf '#!/bin/sh\nexport LD_PRELOAD=\necho "$*" >>%s\nexec /usr/bin/ssh -F %s "$@"\n' \
    "$T/ssh.calls" "$T/ssh_config" >"$T/bin/ssh"
printf '#!/bin/sh\nLD_PRELOAD= exec %s "$@"\n' "$BATON" >"$T/remote/baton"
chmod +x "$T/bin/ssh" "$T/bin/sshd-once" "$T/remote/baton"
export PATH="$T/bin:$PATH"

over_ssh() { echo "ssh://host-$1$T/$1.ctl"; }
peer_of() { over_ssh "$(other_of "$1")"; }
service_arguments() {
    printf '%s\n' --announce "unix:$T/to-$1.nbd" --announce-control "$(over_ssh "$1")"
}
forward() { # HOST: its listener as the other host sees it
    setsid ssh -N -o ExitOnForwardFailure=yes -L "$T/to-$1.nbd:$T/$1.nbd" "host-$1" \
        >>"$T/forward.log" 2>&1 </dev/null &
    SERVICE_PID[forward-$1]=$!
    local end=$((SECONDS + 20))
    until [ -S "$T/to-$1.nbd" ]; do
        [ "$SECONDS" -lt "$end" ] || fail "no forward to $1"
        pause 0.05
    done
}

hosts_start
services_start 256M
forward a
forward b
guest_build "$T"
vm_start a
vm_goes_on "its start"

vm_tool() { # HOST ARGUMENT...: baton vm there
    on "$1" "$BATON" vm "${@:2}" --connect qemu:///system
}
from=a to=b
for ((i = 1; i <= 2; i++)); do
    vm_tool "$from" migrate "$VM" "qemu+tcp://$(host_ip "$to")/system" --json \
        --at "$(over_ssh "$from")" --to "$(over_ssh "$to")" >"$T/migrated.json" ||
        fail "migration $i fails"
    eq "$(jq -c '[.outcome, .service, .disks]' "$T/migrated.json")" \
        "[\"done\",\"$to\",[\"D\"]]" "what baton vm migrate reports"
    owned_by "$to" "migration $i"
    vm_goes_on "migration $i"
    eq "$(vm_tool "$to" list --at "$(over_ssh "$to")" --json |
        jq -c '.domains[0] | [.domain, .running, .disk, .owner]')" \
        "[\"web\",true,\"D\",\"$to\"]" "what baton vm list says"
    # What the one was told of the other's control socket is of use on another host.
    eq "$(jq -r '.body.disk.peer_control' "$T/$from.state/disk/D.json")" \
        "$(over_ssh "$to")" "how $from reaches the owner"
    read -r from to <<<"$to $from"
done
for name in a b; do
    grep -q "baton proxy $T/$name.ctl" "$T/ssh.calls" || fail "nobody went to $name by ssh"
done

# A peer that ssh does not reach: refused before anything moves.
fails_with 1 'web still runs where it was' -- vm_tool a migrate "$VM" \
    "qemu+tcp://$(host_ip b)/system" --at "$(control_of a)" --to ssh://host-c/run/b.ctl
eq "$(vm_state a) $(roles_of D)" "running owner given" "the VM and its disk after that"
vm_goes_on "a peer that is not reached"

vm_stop a
for name in a b; do
    eq "$(status_of "$name" D .ledger.failed)" 0 "failed requests at $name"
    [ ! -s "$T/hook.$name.log" ] || fail "the hook at $name: $(cat "$T/hook.$name.log")"
    stop_service "$name"
done
