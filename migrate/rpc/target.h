/* SPDX-License-Identifier: BSD-3-Clause */
/* target.h - what a command is about: a disk, the disks of a VM, or all disks of a
 * service. People and calls write it as one word: NAME, vm:NAME, or all. */
#ifndef BATON_TARGET_H
#define BATON_TARGET_H

#include <stdbool.h>

#include "name.h"

enum target_kind { TARGET_DISK, TARGET_VM, TARGET_ALL };

#define TARGET_TEXT_SIZE (NAME_MAX_LEN + 8)

struct target {
    enum target_kind kind;
    char text[TARGET_TEXT_SIZE]; /* as it is written; what is parsed is never longer */
};

/* may_be_all: not every command can be about all disks; "all" is a disk's name to the
 * others. -EINVAL: neither a disk's name nor a VM's; the caller knows whom to tell. */
int target_parse(const char *text, bool may_be_all, struct target *ret_t);

/* The disks of vm, or the one disk if vm is "". Both are valid names. */
struct target target_of(const char *vm, const char *disk);

/* Is it about this disk, which belongs to vm ("": to none)? */
bool target_has(const struct target *t, const char *vm, const char *disk);

#endif
