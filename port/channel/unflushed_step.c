/* SPDX-License-Identifier: BSD-3-Clause */
#include "unflushed_step.h"

#include <errno.h>
#include <string.h>

/* Does what is acknowledged now have to outlive the owner? */
static bool
is_elsewhere(struct channel *c) LK_REQUIRES(c->lock)
{
    return c->here[0] == '\0' ||
           strcmp(channel_locked(c)->unflushed.owner.instance, c->here) != 0;
}

void
unflushed_step_begin(struct channel *c, struct unflushed_step *s, const struct req *rq)
{
    const struct unflushed_table *t = &channel_locked(c)->unflushed;

    s->mark = unflushed_mark(t);
    s->is_to_keep = c->durability == CHANNEL_KEEP && req_is_change(rq) &&
                    (((rq->flags & REQ_F_FUA) == 0 && is_elsewhere(c)) ||
                     unflushed_overlaps(t, rq));
}

int
unflushed_step_copy(struct unflushed_step *s, const struct req *rq)
{
    if (s->is_to_keep && s->copy == NULL) {
        s->copy = unflushed_copy(rq);
        return s->copy != NULL ? 0 : -ENOMEM;
    }
    return 0;
}

/* What is still kept for an owner here is left from one elsewhere, and every change is
 * compared with it. */
static bool
is_flush_due(struct channel *c) LK_REQUIRES(c->lock)
{
    const struct channel_locked *l = channel_locked(c);

    return unflushed_is_half_full(&l->unflushed) || l->has_inherited ||
           !is_elsewhere(c);
}

int
unflushed_step_end(struct channel *c, struct unflushed_step *s, const struct req *rq,
                   int rc)
{
    struct channel_locked *l = channel_locked(c);

    if (rc != 0 && rq->op == REQ_FLUSH) {
        unflushed_flush_failed(&l->unflushed);
        loss_note(&c->loss, rc);
        if (rq->requester != REQ_OF_OURS) {
            (void)loss_tell(&c->loss, rq->requester); /* by this answer */
        }
    }
    if (rc != 0) {
        return rc;
    }
    if (rq->op == REQ_FLUSH) {
        unflushed_flushed(&l->unflushed, s->mark);
        l->has_inherited = false;
        rc = l->unflushed_rc;
    } else if (s->is_to_keep) {
        unflushed_add(&l->unflushed, s->copy);
        s->copy = NULL;
        s->is_flush_recommended = !l->is_flushing && is_flush_due(c);
        l->is_flushing |= s->is_flush_recommended;
    } else {
        return 0;
    }
    channel_count_unflushed(c);
    return rc;
}
