/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_restart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "log.h"
#include "record_vm.h"
#include "service.h"
#include "vm_watch.h"

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
vm_kept_announce(struct disk *d, const struct record_vm *vm, bool *ret_is_announced)
{
    if (!guests_try_announce(&d->guests, vm->uuid, vm->is_reader, vm->is_shared,
                             ret_is_announced)) {
        return false;
    }
    if (*ret_is_announced) {
        keep(d, vm);
    }
    return true;
}

bool
vm_kept_end(struct disk *d, const char *vm_uuid, const char *vm_name)
{
    struct record_vm vm = {.is_gone = true};

    if (!guests_end(&d->guests, vm_uuid)) {
        return false;
    }
    (void)snprintf(vm.uuid, sizeof vm.uuid, "%s", vm_uuid);
    (void)snprintf(vm.name, sizeof vm.name, "%s", vm_name);
    keep(d, &vm);
    return true;
}

void
vm_kept_forget(struct disk *d, uint64_t generation)
{
    static const struct record_vm nobody = {.uuid = ""};

    if (guests_forget(&d->guests, generation)) {
        keep(d, &nobody);
    }
}

void
vm_kept_restore(struct disk *d)
{
    struct record_vm vm;

    record_vm_read(d->service->records, d->cfg->name, &vm);
    if (vm.uuid[0] != '\0') {
        guests_restore(&d->guests, &vm);
    }
}

/* The watch of the VM, of the nr there are, or a new one. */
static struct vm_watch *
watch_of(struct service *s, struct vm_watch *watches, unsigned *nr,
         const struct record_vm *vm)
{
    struct vm_watch *w = watches;

    while (w < watches + *nr &&
           (strcmp(w->uuid, vm->uuid) != 0 || w->nr == GROUP_MAX_DISKS)) {
        w++;
    }
    if (w == watches + *nr) {
        (*nr)++;
        w->service = s;
        w->is_restart = true;
        (void)snprintf(w->uuid, sizeof w->uuid, "%s", vm->uuid);
        (void)snprintf(w->vm, sizeof w->vm, "%s", vm->name);
    }
    /* What is known of one disk is known of the VM. */
    w->is_restart = w->is_restart && !vm->is_gone;
    return w;
}

void
vm_kept_follow(struct service *s)
{
    struct vm_watch *watches = calloc(s->nr_disks + 1, sizeof *watches);
    unsigned nr = 0;

    for (unsigned i = 0; i < s->nr_disks && watches != NULL; i++) {
        struct disk *d = &s->disks[i];
        struct vm_watch *w;
        struct record_vm vm;

        record_vm_read(s->records, d->cfg->name, &vm);
        if (vm.uuid[0] == '\0' || disk_record(d).role != ROLE_OWNER) {
            continue;
        }
        w = watch_of(s, watches, &nr, &vm);
        w->disks[w->nr].disk = d;
        w->disks[w->nr++].generation = guests_look(&d->guests).generation;
    }
    for (unsigned i = 0; i < nr; i++) {
        struct err e = {{0}};
        int rc = vm_watch_start(&watches[i], &e);

        if (rc < 0) {
            log_warn("%s", err_text(&e, rc));
        }
    }
    free(watches);
}
