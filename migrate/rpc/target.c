/* SPDX-License-Identifier: BSD-3-Clause */
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "words.h"

static const char vm_prefix[] = "vm:";

int
target_parse(const char *text, bool may_be_all, struct target *ret_t)
{
    const size_t len = strlen(vm_prefix);
    const bool is_vm = strncmp(text, vm_prefix, len) == 0;
    struct target t = {.kind = is_vm ? TARGET_VM : TARGET_DISK};

    if (may_be_all && strcmp(text, HANDOFF_ALL_TARGET) == 0) {
        t.kind = TARGET_ALL;
    }
    if (!name_is_valid(is_vm ? text + len : text)) {
        return -EINVAL;
    }
    (void)snprintf(t.text, sizeof t.text, "%s", text);
    *ret_t = t;
    return 0;
}

struct target
target_of(const char *vm, const char *disk)
{
    const bool is_vm = vm[0] != '\0';
    struct target t = {.kind = is_vm ? TARGET_VM : TARGET_DISK};

    (void)snprintf(t.text, sizeof t.text, "%s%s", is_vm ? vm_prefix : "",
                   is_vm ? vm : disk);
    return t;
}

bool
target_has(const struct target *t, const char *vm, const char *disk)
{
    switch (t->kind) {
    case TARGET_DISK:
        return strcmp(t->text, disk) == 0;
    case TARGET_VM:
        return strcmp(t->text + strlen(vm_prefix), vm) == 0;
    case TARGET_ALL:
        return true;
    }
    return false;
}
