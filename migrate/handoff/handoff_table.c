/* SPDX-License-Identifier: BSD-3-Clause */
#include "handoff_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
handoff_table_new(struct handoff_table **ret_t)
{
    struct handoff_table *t = calloc(1, sizeof *t);

    if (t == NULL) {
        return -ENOMEM;
    }
    lk_init(&t->lock);
    cv_init(&t->turn);
    LIST_INIT(&t->jobs);
    *ret_t = t;
    return 0;
}

struct job *
handoff_table_find_locked(struct handoff_table *t, const struct target *target)
{
    struct job *j;

    LIST_FOREACH(j, &t->jobs, link)
    {
        if (strcmp(j->target, target->text) == 0) {
            return j;
        }
    }
    return NULL;
}

struct job *
handoff_table_of_disk_locked(struct handoff_table *t, const struct disk *d)
{
    struct job *j;

    LIST_FOREACH(j, &t->jobs, link)
    {
        for (unsigned i = 0; i < j->nr; i++) {
            if (j->disks[i] == d) {
                return j;
            }
        }
    }
    return NULL;
}
