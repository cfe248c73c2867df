/* SPDX-License-Identifier: BSD-3-Clause */
/* vm_pull.h - ownership moves before the VM does. */
#ifndef BATON_VM_PULL_H
#define BATON_VM_PULL_H

#include <stdint.h>

#include "disk.h"

/* Ask the owners of these disks, of which we are clients, to hand them to us; by
 * deadline_ns. Disks that are ours are left alone. On an error some may be ours. */
int vm_pull(struct service *s, struct disk *const *disks, unsigned nr,
            uint64_t deadline_ns, struct err *e);

#endif
