/* SPDX-License-Identifier: BSD-3-Clause */
#include "hold_queue.h"

#include <assert.h>
#include <stddef.h>

void
hold_queue_init(struct hold_queue *q)
{
    TAILQ_INIT(&q->list);
    q->nr_waiting = 0;
    q->nr_sent = 0;
    q->nr_held = 0;
}

bool
hold_queue_blocks(const struct hold_queue *q, const struct req *rq)
{
    const struct held *e;

    TAILQ_FOREACH(e, &q->list, link)
    {
        if (!e->is_late && req_conflicts(e->rq, rq)) {
            return true;
        }
    }
    return false;
}

static void
count_in(struct hold_queue *q, struct held *e)
{
    e->state = HELD_WAITING;
    q->nr_waiting++;
    q->nr_held += e->is_late ? 0 : 1;
}

void
hold_queue_append(struct hold_queue *q, struct held *e)
{
    count_in(q, e);
    TAILQ_INSERT_TAIL(&q->list, e, link);
}

void
hold_queue_prepend(struct hold_queue *q, struct held *e)
{
    struct held *before = NULL, *next = TAILQ_FIRST(&q->list);

    count_in(q, e);
    e->is_prepended = true;
    while (next != NULL && next->is_prepended && next->recalled < e->recalled) {
        before = next;
        next = TAILQ_NEXT(next, link);
    }
    if (before != NULL) {
        TAILQ_INSERT_AFTER(&q->list, before, e, link);
    } else {
        TAILQ_INSERT_HEAD(&q->list, e, link);
    }
}

void
hold_queue_return(struct hold_queue *q, struct held *e)
{
    assert(e->state == HELD_RUNNING);
    e->state = HELD_WAITING;
    q->nr_waiting++;
}

/* May e go? What was held goes before everything behind it; what is late only follows
 * what was held. */
static bool
may_go(const struct hold_queue *q, const struct held *e)
{
    const struct held *before;

    TAILQ_FOREACH(before, &q->list, link)
    {
        if (before == e) {
            return true;
        }
        if (before->state != HELD_BOUNCED && !(e->is_late && before->is_late) &&
            req_conflicts(before->rq, e->rq)) {
            return false;
        }
    }
    return true;
}

static void
run(struct hold_queue *q, struct held *e)
{
    e->state = HELD_RUNNING;
    q->nr_waiting--;
    q->nr_sent++;
    cv_signal(&e->woken);
}

void
hold_queue_dispatch(struct hold_queue *q)
{
    struct held *e;

    TAILQ_FOREACH(e, &q->list, link)
    {
        if (e->state == HELD_WAITING && may_go(q, e)) {
            run(q, e);
        }
    }
}

void
hold_queue_remove(struct hold_queue *q, struct held *e, bool is_replaying)
{
    struct held *next = TAILQ_NEXT(e, link);

    TAILQ_REMOVE(&q->list, e, link);
    q->nr_held -= e->is_late ? 0 : 1;
    if (e->state == HELD_WAITING) {
        q->nr_waiting--;
    }
    if (!is_replaying) {
        return;
    }
    /* Only what conflicts with e can have waited for it. */
    for (; next != NULL; next = TAILQ_NEXT(next, link)) {
        if (next->state == HELD_WAITING && req_conflicts(e->rq, next->rq) &&
            may_go(q, next)) {
            run(q, next);
        }
    }
}

void
hold_queue_bounce(struct hold_queue *q,
                  bool (*matches)(const struct held *e, const void *arg),
                  const void *arg)
{
    struct held *e;

    TAILQ_FOREACH(e, &q->list, link)
    {
        if (e->state == HELD_WAITING && matches(e, arg)) {
            e->state = HELD_BOUNCED;
            q->nr_waiting--;
            cv_signal(&e->woken);
        }
    }
}

void
hold_queue_rehold(struct hold_queue *q)
{
    struct held *e;

    TAILQ_FOREACH(e, &q->list, link)
    {
        q->nr_held += e->is_late ? 1 : 0;
        e->is_late = false;
    }
}

void
hold_queue_measure(const struct hold_queue *q, uint64_t *ret_oldest_ns,
                   uint64_t *ret_bytes)
{
    uint64_t oldest = 0, bytes = 0;
    const struct held *e;

    TAILQ_FOREACH(e, &q->list, link)
    {
        if (e->state != HELD_WAITING) {
            continue;
        }
        if (oldest == 0 || e->since_ns < oldest) {
            oldest = e->since_ns;
        }
        if (e->rq->op == REQ_READ || e->rq->op == REQ_WRITE) {
            bytes += e->rq->len;
        }
    }
    *ret_oldest_ns = oldest;
    *ret_bytes = bytes;
}
