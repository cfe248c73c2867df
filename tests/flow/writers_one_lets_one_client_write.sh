#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# writers=one: of the clients that nobody tells of only one writes at a time, wherever
# the others are; they read as they like. One that takes over while the first is ending,
# as at a live migration, waits and sees no error.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../vm_hook.sh"
need jq qemu-io

device=$(new_device vda 8M)
for name in a b; do
    role=owner
    [ $name = a ] || role=standby
    start_service $name --disk "name=vda,device=$device,writers=one,role=$role" \
        --peer "$(control_of "$([ $name = a ] && echo b || echo a)")"
done
baton attach vda --at "$(control_of b)" --owner "$(control_of a)" >/dev/null

refused() { # SERVICE
    local out
    out=$(qemu-io -f raw -c "write -P 9 0 4k" "$(uri_of "$1" vda)" 2>&1 || true)
    contains "$out" "Operation not permitted" "a write of a second client at $1"
}

vm_open a
io "$(uri_of a vda)" "write -P 1 0 4k" # the first has only read
vm_do "write -P 2 0 4k" 'wrote 4096/4096'
io "$(uri_of a vda)" "read -P 2 0 4k"
io "$(uri_of b vda)" "read -P 2 0 4k"
refused a &
at_a=$!
refused b
wait $at_a || fail "a second client at a"
vm_do "read -P 2 0 4k" 'read 4096/4096'

# The next one writes while the first is there still, and waits for its end.
first=$VM first_in=$VM_IN
vm_open b
echo "write -P 3 0 4k" >&"$VM_IN"
said_yet() { grep -c "wrote 4096" "$T/vm.log" || true; }
pause 0.3
eq "$(said_yet)" 0 "writes of the second while the first is there"
echo quit >&"$first_in"
wait "$first" || true
vm_do "read -P 3 0 4k" 'read 4096/4096'
eq "$(said_yet)" 1 "writes of the second after the end of the first"
vm_close
io "$(uri_of a vda)" "write -P 4 0 4k" "read -P 4 0 4k"
stop_service a
stop_service b
