/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_restart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "log.h"
#include "record_vm.h"
#include "service.h"

static void
keep(struct disk *d, const struct record_vm *vm)
{
    struct err e = {{0}};
    int rc = record_vm_write(d->service->records, d->cfg->name, vm, &e);

    if (rc < 0) { /* it matters only if we are restarted before the VM has moved */
        log_warn("%s", err_text(&e, rc));
    }
}

bool
vm_restart_announce(struct disk *d, const struct record_vm *vm, bool *ret_is_announced)
{
    if (!vm_presence_try_announce(&d->presence, vm->uuid, vm->is_reader, vm->is_shared,
                                  ret_is_announced)) {
        return false;
    }
    if (*ret_is_announced) {
        keep(d, vm);
    }
    return true;
}

bool
vm_restart_end(struct disk *d, const char *vm_uuid, const char *vm_name)
{
    struct record_vm vm = {.is_gone = true};

    if (!vm_presence_end(&d->presence, vm_uuid)) {
        return false;
    }
    (void)snprintf(vm.uuid, sizeof vm.uuid, "%s", vm_uuid);
    (void)snprintf(vm.name, sizeof vm.name, "%s", vm_name);
    keep(d, &vm);
    return true;
}

void
vm_restart_forget(struct disk *d, uint64_t generation)
{
    static const struct record_vm nobody = {.uuid = ""};

    if (vm_presence_forget(&d->presence, generation)) {
        keep(d, &nobody);
    }
}

void
vm_restart_restore(struct disk *d)
{
    struct record_vm vm;

    record_vm_read(d->service->records, d->cfg->name, &vm);
    if (vm.uuid[0] != '\0') {
        vm_presence_restore(&d->presence, &vm);
    }
}
