/* SPDX-License-Identifier: BSD-3-Clause */
#include "service.h"

#include <errno.h>
#include <string.h>

#include "disk.h"
#include "target.h"

struct disk *
service_find_disk(struct service *s, const char *name)
{
    for (unsigned i = 0; i < s->nr_disks; i++) {
        if (strcmp(s->disks[i].cfg->name, name) == 0) {
            return &s->disks[i];
        }
    }
    return NULL;
}

struct disk *
service_find_uuid(struct service *s, const char *uuid)
{
    for (unsigned i = 0; i < s->nr_disks; i++) {
        if (disk_has_uuid(&s->disks[i], uuid)) {
            return &s->disks[i];
        }
    }
    return NULL;
}

int
service_find_target(struct service *s, const struct target *t, struct err *e,
                    struct disk **ret_disks, unsigned *ret_nr)
{
    unsigned nr = 0;

    for (unsigned i = 0; i < s->nr_disks; i++) {
        const struct disk_config *c = s->disks[i].cfg;

        if (!target_has(t, c->vm, c->name)) {
            continue;
        }
        if (nr == GROUP_MAX_DISKS) {
            return err_set(e, -E2BIG, "%s has more than %d disks", t->text,
                           GROUP_MAX_DISKS);
        }
        ret_disks[nr++] = &s->disks[i];
    }
    if (nr == 0) {
        return err_set(e, -ENOENT,
                       t->kind == TARGET_VM ? "%s serves no disk of %s"
                                            : "%s has no disk %s",
                       s->cfg->name, t->text);
    }
    *ret_nr = nr;
    return 0;
}

bool
service_runs_vm(struct service *s, const char *vm_uuid)
{
    for (unsigned i = 0; i < s->nr_disks && vm_uuid[0] != '\0'; i++) {
        struct vm_presence_locked g = vm_presence_look(&s->disks[i].presence);

        if (g.has_run && !g.is_gone && strcmp(g.vm_uuid, vm_uuid) == 0) {
            return true;
        }
    }
    return false;
}
