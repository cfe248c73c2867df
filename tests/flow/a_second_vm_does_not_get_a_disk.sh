#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A VM that has a disk has it alone: a second one is refused at its start, on the same
# host and on another one, wherever the owner is and after restarts of every service,
# and so is the same VM elsewhere unless it migrates. When it has ended, with or without
# a word, the next one is let in. Who shares, or only reads, is let in at once.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../vm_hook.sh"
need jq qemu-io
DB_UUID=0a0b0c0d-2222-2222-3333-444455556666

start() { # NAME ROLE
    start_service "$1" --peer "$(control_of "$([ "$1" = a ] && echo b || echo a)")" \
        --disk "name=vda,device=$device,role=$2" --disk "name=vdb,device=$shared,writers=any,role=$2"
}
# use SERVICE OP UUID DISK [ELEMENT]: the hook for a domain with this disk
use() {
    domain_of "$(socket_of "$1")" "$3" "$4" | sed "s|<target|${5-}<target|" |
        hook_xml "$1" "$2" "$([ "$2" = release ] && echo end || echo begin)"
}
leases() { baton lease vda --at "$(control_of "$1")" --json | jq -r '[.leases[].service] | join(" ")'; }

device=$(new_device vda 8M)
shared=$(new_device vdb 8M)
start a owner
start b standby

# web runs at a; db, or web itself, is started elsewhere or beside it.
use a prepare $VM_UUID vda
fails_with 1 "VM web has it at a" -- use b prepare $DB_UUID vda
vm_open a
vm_do "write -P 1 0 4k" 'wrote 4096/4096'
fails_with 1 "VM web has it here at a, and a second writer would damage it" -- \
    use a prepare $DB_UUID vda
fails_with 1 "VM web has it at a, and a second writer would damage it" -- \
    use b prepare $DB_UUID vda
fails_with 1 "VM web has it at a" -- use b prepare $VM_UUID vda
fails_with 1 "VM web has it at a" -- use b prepare $DB_UUID vda "<shareable/>"
eq "$(leases a)" a "who has it"
fails_with 1 "only its owner knows the leases" -- baton lease vda --at "$(control_of b)"

# A reader is no second one, and it does not make web forgotten.
use b prepare $DB_UUID vda "<readonly/>"
use a prepare $DB_UUID vda "<readonly/>"
fails_with 1 "VM web has it" -- use b prepare $DB_UUID vda
use b release $DB_UUID vda

# The owner is elsewhere, is restarted, and so is the service that web uses.
baton handoff vda --from "$(control_of a)" --to "$(control_of b)" --quiet
eq "$(leases b)" a "who has it, as the new owner knows"
fails_with 1 "VM web has it at a" -- use b prepare $DB_UUID vda
fails_with 1 "VM web has it" -- use a prepare $DB_UUID vda
kill_service b
start b standby
fails_with 1 "VM web has it at a" -- use b prepare $DB_UUID vda
kill_service a
vm_kill
start a owner
fails_with 1 "VM web has it at a" -- use b prepare $DB_UUID vda # it may reconnect
vm_open a
vm_do "write -P 1 0 4k" 'wrote 4096/4096'
fails_with 1 "VM web has it at a" -- use b prepare $DB_UUID vda

# It migrates there: that is announced.
use b migrate $VM_UUID vda
use b prepare $VM_UUID vda
eq "$(leases b)" "a b" "who has it during a migration"
use b release $VM_UUID vda # and fails, so the owner goes where it runs
said b 'VM web runs at a: its disks are owned there now' 1
eq "$(leases a)" a "who has it after a migration that failed"

# web has crashed, and nobody says so; the same VM again is no second one, either.
vm_kill
use a prepare $VM_UUID vda
use a release $VM_UUID vda
eq "$(leases a)" "" "who has it after its end"
use a prepare $VM_UUID vda
vm_open a
vm_kill
use b prepare $DB_UUID vda
eq "$(leases a)" b "who has it after a crash"
fails_with 1 "VM web has it at b" -- use a prepare $VM_UUID vda
use b release $DB_UUID vda

# web's host is gone for good: a person says so.
baton handoff vda --from "$(control_of a)" --to "$(control_of b)" --quiet
use a prepare $VM_UUID vda
vm_open a
kill_service a
vm_kill
fails_with 1 "that service does not answer: if the VM does not run any more, baton lease vda --at $(control_of b) --release" -- \
    use b prepare $DB_UUID vda
baton lease vda --at "$(control_of b)" --release >/dev/null
use b prepare $DB_UUID vda
start a owner

# Shared by the domains, or by our own configuration.
use b release $DB_UUID vda
use b prepare $DB_UUID vda "<shareable/>"
use a prepare $VM_UUID vda "<shareable/>"
use a prepare $DB_UUID vdb
use b prepare $VM_UUID vdb

# The owner is gone for good, and the service that web uses takes the disk.
use b release $DB_UUID vda
use a release $VM_UUID vda
use a prepare $VM_UUID vda
vm_open a
kill_service b
baton recover vda --at "$(control_of a)" --take >/dev/null
eq "$(leases a)" a "who has it, as who took it knows"
vm_close
stop_service a
