/* SPDX-License-Identifier: BSD-3-Clause */
/* handoff_table.h - private to migrate/handoff: the jobs of a service that have not
 * ended. handoff_table_new() is in handoff.h. */
#ifndef BATON_HANDOFF_TABLE_H
#define BATON_HANDOFF_TABLE_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "job.h"
#include "lock.h"

struct handoff_table {
    struct lk lock; /* before a job's lock; makes "look, then begin" one step */
    LIST_HEAD(, job) jobs;
    struct job *turn_of;        /* see job_turn.h; NULL: of nobody */
    struct cv turn;             /* it became nobody's */
    _Atomic unsigned nr_asking; /* jobs in ASSIGN; relaxed: it bounds */
};

/* The job of exactly this target; the lock is held. NULL: none. */
struct job *handoff_table_find_locked(struct handoff_table *t,
                                      const struct target *target);

/* The one that hands d; the lock is held. NULL: none. */
struct job *handoff_table_of_disk_locked(struct handoff_table *t, const struct disk *d);

#endif
