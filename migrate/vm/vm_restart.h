/* SPDX-License-Identifier: BSD-3-Clause */
/* vm_restart.h - what was announced of VMs (vm_presence.h), kept over a restart of the
 * service (record_vm.h). A migration takes minutes and does not wait for us: when we
 * come back, the VM may have arrived here, or have gone from here without anybody's
 * telling us. */
#ifndef BATON_VM_RESTART_H
#define BATON_VM_RESTART_H

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct record_vm;

/* vm is about to be started here (vm_presence_try_announce()). False: another one uses
 * d. */
bool vm_restart_announce(struct disk *d, const struct record_vm *vm,
                         bool *ret_is_announced);

/* The domain of this UUID and name has ended here; where it went is not known yet.
 * False: the disk is another one's by now. */
bool vm_restart_end(struct disk *d, const char *vm_uuid, const char *vm_name);

/* Nobody any more, if nobody was announced after the announcement of this generation.
 */
void vm_restart_forget(struct disk *d, uint64_t generation);

/* Announce what was announced before the restart. Before the first client. */
void vm_restart_restore(struct disk *d);

#endif
