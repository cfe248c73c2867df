/* SPDX-License-Identifier: BSD-3-Clause */
#include "unflushed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NR 65536U /* a copy of nothing costs about as much as 100 bytes */

void
unflushed_init(struct unflushed_table *t, uint64_t max_bytes)
{
    *t = (struct unflushed_table){.max_nr = MAX_NR, .max_bytes = max_bytes};
    TAILQ_INIT(&t->list);
}

static void
forget_before(struct unflushed_table *t, uint64_t mark)
{
    struct unflushed_change *k;

    while ((k = TAILQ_FIRST(&t->list)) != NULL && k->number < mark) {
        unflushed_drop(t, k);
    }
}

void
unflushed_done(struct unflushed_table *t)
{
    forget_before(t, unflushed_mark(t));
}

struct unflushed_change *
unflushed_copy(const struct req *rq)
{
    uint32_t len = rq->op == REQ_WRITE ? rq->len : 0;
    struct unflushed_change *k = malloc(sizeof *k + len);

    assert(req_is_change(rq));
    if (k != NULL) {
        *k = (struct unflushed_change){.rq = *rq};
        k->rq.flags &= REQ_F_MAY_TRIM | REQ_F_FUA;
        k->rq.deadline_ns = 0; /* it was answered: nobody waits for it any more */
        if (len > 0) {
            memcpy(k->data, rq->buf, len);
            k->rq.buf = k->data;
        }
    }
    return k;
}

static uint64_t
bytes_of(const struct unflushed_change *k)
{
    return k->rq.op == REQ_WRITE ? k->rq.len : 0;
}

void
unflushed_add(struct unflushed_table *t, struct unflushed_change *k)
{
    k->number = t->next_number++;
    TAILQ_INSERT_TAIL(&t->list, k, link);
    t->nr++;
    t->bytes += bytes_of(k);
}

void
unflushed_drop(struct unflushed_table *t, struct unflushed_change *k)
{
    TAILQ_REMOVE(&t->list, k, link);
    t->nr--;
    t->bytes -= bytes_of(k);
    free(k);
}

uint64_t
unflushed_mark(const struct unflushed_table *t)
{
    return t->next_number;
}

void
unflushed_flushed(struct unflushed_table *t, uint64_t mark)
{
    t->is_flush_failed = false;
    forget_before(t, mark);
}

void
unflushed_flush_failed(struct unflushed_table *t)
{
    t->is_flush_failed = true;
}

bool
unflushed_overlaps(const struct unflushed_table *t, const struct req *rq)
{
    const struct unflushed_change *k;

    TAILQ_FOREACH(k, &t->list, link)
    {
        if (req_conflicts(&k->rq, rq)) {
            return true;
        }
    }
    return false;
}

bool
unflushed_is_half_full(const struct unflushed_table *t)
{
    return t->nr >= t->max_nr / 2 || t->bytes >= t->max_bytes / 2;
}

bool
unflushed_is_full(const struct unflushed_table *t)
{
    return t->nr >= t->max_nr || t->bytes >= t->max_bytes;
}

/* Has what `was` had acknowledged been flushed before `now` became the owner? */
static bool
is_flushed(const struct channel_owner *was, const struct channel_owner *now)
{
    return was->instance[0] != '\0' && was->epoch < now->epoch &&
           strcmp(was->instance, now->flushed_by) == 0;
}

void
unflushed_meet(struct unflushed_table *t, const struct channel_owner *owner)
{
    bool is_same =
        owner->instance[0] != '\0' && strcmp(t->owner.instance, owner->instance) == 0;
    bool is_durable = !t->is_flush_failed && is_flushed(&t->owner, owner);
    struct unflushed_change *k, *next;

    for (k = TAILQ_FIRST(&t->list); k != NULL; k = next) {
        next = TAILQ_NEXT(k, link);
        if (k->is_lost) { /* of an owner before that one: still to be sent */
            continue;
        }
        if (is_durable) {
            unflushed_drop(t, k);
        } else {
            k->is_lost = !is_same;
        }
    }
    t->is_flush_failed = t->is_flush_failed && is_same;
    t->owner = *owner;
}

struct unflushed_change *
unflushed_next_lost(const struct unflushed_table *t, struct unflushed_change *k)
{
    k = k != NULL ? TAILQ_NEXT(k, link) : TAILQ_FIRST(&t->list);
    while (k != NULL && !k->is_lost) {
        k = TAILQ_NEXT(k, link);
    }
    return k;
}
