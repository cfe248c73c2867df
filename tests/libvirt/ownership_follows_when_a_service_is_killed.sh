#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# release only
# ctest: TIMEOUT 600
# The VM runs at the destination already, and before the ownership has followed one of the
# services is killed and started again; also the hook finds the source's not there. The
# guest sees a pause, and the owner is where the VM is. All the failures, ten times:
# scripts/campaign-libvirt-failures.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"
need_libvirt

hosts_start
emulator_make
services_start 256M
guest_build "$T"
vm_start a
vm_goes_on "its start"
for fault in destination-service-killed-late source-service-killed-late; do
    fault_run "$fault"
    fault_judge "$fault"
    eq "$MIGRATED" yes "success of the migration after $fault"
    fault_mend "$FROM"
done
for name in a b; do
    eq "$(status_of "$name" D .ledger.failed)" 0 "failed requests at $name"
    stop_service "$name"
done
