#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Certificates, authority and revocation list are files that change while a service runs:
# what is there when somebody connects counts, for disks and for control. While they are
# half changed the old ones stay, and the log says so. A connection that stands is let be.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../tls/lib.sh"
need nbdinfo certtool jq
hosts_open
here='ip_address = "10.54.0.1"'
make_ca old
make_ca new
make_host alpha old "$here"
make_host beta old
make_host gone old
make_host gamma new
mv "$T/alpha.pki" "$T/before.pki"
make_host alpha new "$here"
mv "$T/alpha.pki" "$T/after.pki"
cp -r "$T/before.pki" "$T/alpha.pki"

tcp_service a h1 --tls-certificates "$T/alpha.pki" --disk "name=vda,device=$(new_device vda 1M)"

size() { # PKI: by NBD
    LD_PRELOAD='' on h2 timeout 30 nbdinfo --size \
        "nbds://10.54.0.1:10809/vda?tls-certificates=$T/$1.pki&tls-verify-peer=true" 2>&1 || echo no
}
service() { # PKI: by control
    on h2 timeout 30 "$BATON" status --at tcp:10.54.0.1:10810 --json \
        --tls-certificates "$T/$1.pki" 2>&1 | jq -r .service || echo no
}
welcome() { eq "$(size "$1") $(service "$1")" "1048576 a" "$1 $2"; }
unwelcome() {
    contains "$(size "$1")" no "$1 asks for a disk $2"
    contains "$(service "$1")" no "$1 asks for control $2"
}

welcome beta "at first"
welcome gone "at first"
unwelcome gamma "of another authority"

revoke gone old alpha
unwelcome gone "after it was revoked"
welcome beta "after another one was revoked"

# The whole folder, one file after the other: nobody is served by half of it.
rm "$T/alpha.pki/ca-crl.pem"
cp "$T/after.pki/server-cert.pem" "$T/alpha.pki"
eq "$(size beta)" 1048576 "beta while certificate and key differ"
wait_log a 'TLS listener: its certificates have changed and cannot be read; the old ones stay in use' ||
    fail "the log does not say it"
cp "$T/after.pki"/*.pem "$T/alpha.pki"
welcome gamma "after the renewal"
unwelcome beta "of the authority of before"
eq "$(grep -c 'have changed and were read again' "$(log_of a)")" 2 "times they were read"
