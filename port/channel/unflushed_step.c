/* SPDX-License-Identifier: BSD-3-Clause */
#include "unflushed_step.h"

#include <errno.h>
#include <string.h>

bool
channel_is_elsewhere(struct channel *c)
{
    return c->here[0] == '\0' ||
           strcmp(channel_locked(c)->kept.owner.instance, c->here) != 0;
}

void
sending_begin(struct channel *c, struct sending *s, const struct req *rq)
{
    const struct kept_table *t = &channel_locked(c)->kept;

    s->mark = kept_mark(t);
    s->is_to_keep = c->durability == CHANNEL_KEEP && req_is_change(rq) &&
                    (((rq->flags & REQ_F_FUA) == 0 && channel_is_elsewhere(c)) ||
                     kept_overlaps(t, rq));
}

int
sending_copy(struct sending *s, const struct req *rq)
{
    if (s->is_to_keep && s->copy == NULL) {
        s->copy = kept_copy(rq);
        return s->copy != NULL ? 0 : -ENOMEM;
    }
    return 0;
}

/* What is still kept for an owner here is left from one elsewhere, and every change is
 * compared with it. */
static bool
is_flush_due(struct channel *c) LK_REQUIRES(c->lock)
{
    return kept_is_half_full(&channel_locked(c)->kept) || !channel_is_elsewhere(c);
}

int
sending_end(struct channel *c, struct sending *s, const struct req *rq, int rc)
{
    struct channel_locked *l = channel_locked(c);

    if (rc != 0) {
        return rc;
    }
    if (rq->op == REQ_FLUSH) {
        kept_flushed(&l->kept, s->mark);
        rc = l->kept_rc;
    } else if (s->is_to_keep) {
        kept_add(&l->kept, s->copy);
        s->copy = NULL;
        s->is_flush_recommended = !l->is_flushing && is_flush_due(c);
        l->is_flushing |= s->is_flush_recommended;
    } else {
        return 0;
    }
    channel_count_kept(c);
    return rc;
}
