/* SPDX-License-Identifier: BSD-3-Clause */
/* record_vm.h - disk/<name>.vm of a state directory: which domain of libvirt was
 * announced last for a disk (vm_methods.h), so that a service that is restarted during
 * a migration still knows. One line: UUID, a space, the domain's name; a second line
 * "gone" when libvirt has said that it ended here and it is not known yet where it
 * went, "reads" or "shares" when it does only that.
 *
 * Not a record: a hint that is worth something only while VMs run that were started
 * before the service, so it is not fsynced, and what a power cut has left of it is not
 * believed when it is no such line. */
#ifndef BATON_RECORD_VM_H
#define BATON_RECORD_VM_H

#include <stdbool.h>

#include "err.h"

#define RECORD_VM_NAME_LEN 128

struct record_dir;

struct record_vm {
    char uuid[37];                      /* "" when none was announced */
    char name[RECORD_VM_NAME_LEN];      /* without control characters; for people */
    bool is_gone, is_reader, is_shared; /* one of them at most */
};

/* Replace the file, or remove it when uuid is "". */
int record_vm_write(struct record_dir *d, const char *disk, const struct record_vm *vm,
                    struct err *e);

/* What it says; a uuid of "" when it says nothing. */
void record_vm_read(struct record_dir *d, const char *disk, struct record_vm *ret_vm);

#endif
