/* SPDX-License-Identifier: BSD-3-Clause */
/* unflushed_plan.h - private to port/channel: what has to be sent again of the changes
 * that are lost (unflushed.h), as far as can be known.
 *
 * Perhaps nothing is lost: the device may be an NBD server that only its service has
 * left. So no byte may ever be sent again that a later change has replaced, not even
 * for a moment: if we die before we have sent the later one, too, the device would hold
 * what was there before, and the acknowledged later change would be lost by our
 * sending. Hence each byte is sent once, as the newest change that is kept has it; of
 * an older one only what no newer one covers, trims included (what a trim leaves is
 * undefined).
 */
#ifndef BATON_UNFLUSHED_PLAN_H
#define BATON_UNFLUSHED_PLAN_H

#include <stddef.h>

#include "unflushed.h"

/* A part of a change that is lost. */
struct unflushed_piece {
    struct unflushed_change *change;
    struct req rq; /* its buffer is the change's */
};

/* The pieces, to be freed by the caller and sent in this order: those of older changes
 * first, the pieces of one change together. No two overlap. Changes that are lost and
 * that newer ones cover wholly are forgotten. 0; or -ENOMEM, and nothing has changed.
 */
int unflushed_plan(struct unflushed_table *t, struct unflushed_piece **ret_pieces,
                   size_t *ret_nr);

#endif
