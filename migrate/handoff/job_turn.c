/* SPDX-License-Identifier: BSD-3-Clause */
/* Who of several groups may hold its disks now. */
#include "job_turn.h"

#include <errno.h>

#include "clock.h"
#include "handoff_table.h"

#define TURN_NS (10 * NS_PER_S)

void
job_turn_take(struct handoff *h)
{
    struct handoff_table *t = h->service->handoffs;
    uint64_t deadline_ns = clock_deadline_ns(TURN_NS);
    struct err ignored; /* the next step asks again */
    LK_GUARD(&t->lock);

    if (h->nr < 2) {
        return;
    }
    if (t->turn_of != NULL) {
        job_detail(h, "another group is held, and goes first");
    }
    while (t->turn_of != NULL && job_check(h, &ignored) == 0) {
        if (cv_wait_until(&t->turn, &t->lock, deadline_ns) == -ETIMEDOUT) {
            return;
        }
    }
    if (t->turn_of != NULL) {
        return; /* whoever wanted the abort has taken the turn from nobody */
    }
    t->turn_of = h;
}

void
job_turn_leave(struct handoff *h)
{
    struct handoff_table *t = h->service->handoffs;
    LK_GUARD(&t->lock);

    if (t->turn_of == h) {
        t->turn_of = NULL;
        cv_broadcast(&t->turn);
    }
}
