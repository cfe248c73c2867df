/* SPDX-License-Identifier: BSD-3-Clause */
/* Who of several groups may hold its disks now. */
#include "job_turn.h"

#include <errno.h>

#include "clock.h"
#include "handoff_table.h"

#define TURN_NS (10 * NS_PER_S)

void
job_turn_take(struct job *j)
{
    struct handoff_table *t = j->service->handoffs;
    uint64_t deadline_ns = clock_deadline_ns(TURN_NS);
    struct err ignored; /* the next step asks again */
    LK_GUARD(&t->lock);

    if (j->nr < 2) {
        return;
    }
    if (t->turn_of != NULL) {
        job_detail(j, "another group is held, and goes first");
    }
    while (t->turn_of != NULL && job_check(j, &ignored) == 0) {
        if (cv_wait_until(&t->turn, &t->lock, deadline_ns) == -ETIMEDOUT) {
            return;
        }
    }
    if (t->turn_of != NULL) {
        return; /* whoever wanted the abort has taken the turn from nobody */
    }
    t->turn_of = j;
}

void
job_turn_leave(struct job *j)
{
    struct handoff_table *t = j->service->handoffs;
    LK_GUARD(&t->lock);

    if (t->turn_of == j) {
        t->turn_of = NULL;
        cv_broadcast(&t->turn);
    }
}
