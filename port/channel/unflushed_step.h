/* SPDX-License-Identifier: BSD-3-Clause */
/* unflushed_step.h - private to port/channel: what a request means for what is kept
 * of the acknowledged and unflushed changes (unflushed.h), whenever it is sent. On the
 * stack of the thread that sends it. */
#ifndef BATON_UNFLUSHED_STEP_H
#define BATON_UNFLUSHED_STEP_H

#include "channel.h"

/* The caller frees the copy, if there is one in the end: the owner has refused the
 * change, or may not forget it. */
struct unflushed_step {
    /* The owner may forget it without us; or, whoever the owner is and however durable
     * the change, something older that is kept would be sent again over it. */
    bool is_to_keep;
    uint64_t mark;                 /* a flush: it covers what was kept till then */
    struct unflushed_change *copy; /* made before sending: what is answered is kept */
    bool is_flush_recommended;     /* and this thread has taken it on itself */
};

/* rq is about to be sent, perhaps not for the first time. */
void unflushed_step_begin(struct channel *c, struct unflushed_step *s,
                          const struct req *rq) LK_REQUIRES(c->lock);

/* Without the lock: copying takes its time. 0, or -ENOMEM: rq must not be sent. */
int unflushed_step_copy(struct unflushed_step *s, const struct req *rq);

/* The link has answered rq with rc, and the caller is still a user of it. Returns
 * what to answer: rc, or for a flush the error of sending again what was kept. */
int unflushed_step_end(struct channel *c, struct unflushed_step *s,
                       const struct req *rq, int rc) LK_REQUIRES(c->lock);

#endif
