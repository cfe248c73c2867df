#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# release only
# ctest: TIMEOUT 600
# baton vm save: the VM is saved and its disk parked; another service takes it meanwhile and
# hands it back, or keeps it; virsh start and virsh restore bring the VM back, parked disk
# and all, and the guest finds its data. A VM that was not saved is not started on a parked
# disk.
. "$(dirname "$0")/lib.sh"
need qemu-io
need_libvirt
hosts_start
services_start 256M
guest_build "$T"

note "a VM that was not saved does not start on a parked disk"
baton park D --at "$(control_of a)" >/dev/null
vm_xml "$(socket_of a)" >"$T/$VM.xml"
virsh_on a define "$T/$VM.xml" >/dev/null
! virsh_on a start "$VM" 2>"$T/refused" || fail "a VM that was not saved starts on a parked disk"
contains "$(cat "$T/hook.a.log")" "is parked here, at epoch" "the hook ($(cat "$T/refused"))"
: >"$T/hook.a.log"
baton unpark D --at "$(control_of a)" >/dev/null

vm_start a
vm_goes_on "its start"

save() { # [FILE]
    on a "$BATON" vm save "$VM" "$@" --at "$(control_of a)" --connect qemu:///system --json
}
sum_of() { sha256sum <"$1" | cut -d' ' -f1; }

eq "$(save | jq -c .)" '{"domain":"web","outcome":"parked","disks":["D"]}' "what save reports"
eq "$(vm_state a) $(roles_of D)" "shut off parked standby" "after save"
before=$(sum_of "$DEVICE")

note "another service takes it, and finds what a left"
handoff D a b >/dev/null
owned_by b "the handoff of the parked disk"
timeout 60 qemu-img convert -f raw -O raw "$(uri_of b D)" "$T/copy" || fail "b cannot read the disk"
eq "$(sum_of "$T/copy")" "$before" "what b serves"
stop_service b # flushes, and would show a write of its own
eq "$(sum_of "$DEVICE")" "$before" "the device after b had it"
start_service b --disk "name=D,device=$DEVICE,role=standby"
handoff D b a >/dev/null
virsh_on a start "$VM" >/dev/null || fail "the saved VM does not start: $(cat "$T/hook.a.log")"
eq "$(vm_state a)" running "the VM that was restored"
vm_goes_on "a restore from an owned disk"

note "virsh restore has the parked disk unparked"
save "$T/memory" >/dev/null
eq "$(roles_of D)" "parked given" "after a save to a file"
virsh_on a restore "$T/memory" >/dev/null || fail "virsh restore: $(cat "$T/hook.a.log")"
owned_by a "virsh restore"
vm_goes_on "a restore from a parked disk"

note "so has virsh start of what libvirt keeps"
save >/dev/null
virsh_on a start "$VM" >/dev/null || fail "virsh start: $(cat "$T/hook.a.log")"
owned_by a "virsh start of a saved VM"
vm_goes_on "a start from a parked disk"

note "restored while b keeps the disk: as its client"
save >/dev/null
handoff D a b >/dev/null
virsh_on a start "$VM" >/dev/null || fail "virsh start, the disk at b: $(cat "$T/hook.a.log")"
vm_goes_on "a restore from the disk of b"
owned_by b "a restore at a"
handoff D b a >/dev/null
vm_goes_on "the disk's way back"

note "a plain save leaves the disk owned"
virsh_on a managedsave "$VM" >/dev/null
await_log a 'VM web is gone and runs nowhere else' 1
eq "$(roles_of D)" "owner given" "after virsh managedsave"
virsh_on a start "$VM" >/dev/null
vm_goes_on "a plain save"
vm_stop a # it verifies all its files
[ ! -s "$T/hook.a.log" ] || fail "the hook: $(cat "$T/hook.a.log")"
for name in a b; do
    eq "$(status_of "$name" D .ledger.failed)" 0 "failed requests at $name"
    ledger_balances "$name" D
    stop_service "$name"
done
e2fsck -fp "$DEVICE" >"$T/fsck.log" 2>&1 || [ $? -eq 1 ] ||
    fail "the file system is damaged: $(cat "$T/fsck.log")"
