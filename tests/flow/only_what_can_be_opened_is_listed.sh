#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a service lists is what the one who asks can open: no disk that is on standby, and
# over TLS none that its peers-allowed keeps from him. A disk that was handed on, or is
# parked, can be opened and is listed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../tls/lib.sh"
need nbdinfo certtool jq
hosts_open
make_ca ca
make_host alpha ca 'ip_address = "10.54.0.1"'
make_host beta ca
make_host guest ca

one=$(new_device one 1M)
two=$(new_device two 1M)
tcp_service a h1 --tls-certificates "$T/alpha.pki" --disk "name=one,device=$one" \
    --disk "name=two,device=$two,peers-allowed=beta"
SERVICE_ENTER=(nsenter --target "${HOST_PID[h1]}" --net --)
start_service b --disk "name=one,device=$one,role=standby" \
    --disk "name=two,device=$two,role=standby" --tls-certificates "$T/alpha.pki"

listed() { # URI: the names, in a line; each was opened
    LD_PRELOAD='' on h2 timeout 30 nbdinfo --list --json "$1" 2>"$T/listed.err" |
        jq -r '[.exports[]."export-name"] | join(" ")' || echo failed
}
over_tls() { listed "nbds://10.54.0.1:10809?tls-certificates=$T/$1.pki&tls-verify-peer=true"; }
local_to() { listed "nbd+unix://?socket=$(socket_of "$1")"; }

eq "$(local_to a)" "one two" "what the owner lists"
eq "$(local_to b)" "" "what a standby lists"
eq "$(over_tls beta)" "one two" "what beta sees"
eq "$(over_tls guest)" "one" "what another one sees"

baton handoff one --from "$(control_of a)" --to "$(control_of b)" --quiet
baton park two --at "$(control_of a)" --quiet
eq "$(local_to a)" "one two" "with one disk handed on and the other parked"
eq "$(local_to b)" "one" "what the new owner lists"
