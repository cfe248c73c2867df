/* SPDX-License-Identifier: BSD-3-Clause */
#include "unacked.h"

#include "clock.h"

void
unacked_init(struct unacked_table *t)
{
    TAILQ_INIT(&t->list);
    t->nr = 0;
    t->nr_doubtful = 0;
    t->nr_changes = 0;
    t->nr_arrivals = 0;
    t->is_followed = false;
}

void
unacked_arrive(struct unacked_table *t, struct unacked *u)
{
    TAILQ_INSERT_TAIL(&t->list, u, link);
    u->arrival = ++t->nr_arrivals;
    t->nr++;
    t->nr_changes += req_is_change(u->rq) ? 1 : 0;
}

bool
unacked_depart(struct unacked_table *t, struct unacked *u)
{
    bool was_followed = t->is_followed;

    TAILQ_REMOVE(&t->list, u, link);
    t->nr--;
    t->nr_changes -= req_is_change(u->rq) ? 1 : 0;
    t->nr_doubtful -= u->is_doubtful ? 1 : 0;
    t->is_followed = false; /* who still has to says so again */
    return was_followed;
}

void
unacked_doubt(struct unacked_table *t, struct unacked *u)
{
    t->nr_doubtful += u->is_doubtful ? 0 : 1;
    u->is_doubtful = true;
}

uint64_t
unacked_deadline_ns(const struct unacked *u)
{
    return u->rq->deadline_ns != 0 ? u->rq->deadline_ns : CLOCK_NEVER;
}

bool
unacked_is_over(const struct unacked *u)
{
    return u->rq->deadline_ns != 0 && clock_now_ns() >= u->rq->deadline_ns;
}

bool
unacked_has_to_follow(struct unacked_table *t, const struct unacked *u)
{
    const bool is_change = req_is_change(u->rq);
    const struct unacked *older;

    if (t->nr_doubtful == 0 && (!is_change || t->nr_changes == 1)) {
        return false; /* the usual case */
    }
    TAILQ_FOREACH(older, &t->list, link)
    {
        if (older == u) {
            break;
        }
        if ((older->is_doubtful || (is_change && req_is_change(older->rq))) &&
            req_conflicts(older->rq, u->rq)) {
            t->is_followed = true;
            return true;
        }
    }
    return false;
}
