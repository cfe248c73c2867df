/* SPDX-License-Identifier: BSD-3-Clause */
/* unflushed.h - private to port/channel: copies of the changes that an owner has
 * acknowledged and not flushed, in the order of their acknowledgement. No lock of its
 * own: every call but unflushed_copy() is made under the channel's.
 *
 * Of changes of the same bytes that is the order in which the owner performed them,
 * since they are never in flight together (unacked.h): a newer one is sent when the
 * older is in the table. So it finds it there, too, if it need not be kept otherwise.
 *
 * What an owner of another instance has acknowledged is lost, as far as can be known,
 * and has to be sent again before anything else is. */
#ifndef BATON_UNFLUSHED_H
#define BATON_UNFLUSHED_H

#include <stdbool.h>
#include <sys/queue.h>

#include "channel_owner.h"
#include "port.h"

struct unflushed_change {
    struct req rq; /* with a copy of its buffer */
    uint64_t number;
    bool is_lost;
    TAILQ_ENTRY(unflushed_change) link;
    char data[];
};

struct unflushed_table {
    TAILQ_HEAD(unflushed_list, unflushed_change) list;
    uint64_t next_number;
    uint64_t nr, bytes; /* in it; bytes of copies */
    uint64_t max_nr, max_bytes;
    bool is_flush_failed;       /* the last: an owner may say once what it has lost */
    struct channel_owner owner; /* that has acknowledged what is not lost */
};

void unflushed_init(struct unflushed_table *t, uint64_t max_bytes);
void unflushed_done(struct unflushed_table *t);

/* NULL: no memory. Any thread. The caller's, for unflushed_add() or free(). */
struct unflushed_change *unflushed_copy(const struct req *rq);

/* Put it in; forget it. Both take it over. */
void unflushed_add(struct unflushed_table *t, struct unflushed_change *k);
void unflushed_drop(struct unflushed_table *t, struct unflushed_change *k);

/* A flush that begins now covers what is in the table now, which is
 * forgotten by unflushed_flushed() with this mark if it succeeds. If it fails no flush
 * of the owner's is believed that the channel did not ask for. */
uint64_t unflushed_mark(const struct unflushed_table *t);
void unflushed_flushed(struct unflushed_table *t, uint64_t mark);
void unflushed_flush_failed(struct unflushed_table *t);

bool unflushed_overlaps(const struct unflushed_table *t, const struct req *rq);

/* Half of what is allowed, so that somebody should flush; all of it. */
bool unflushed_is_half_full(const struct unflushed_table *t);
bool unflushed_is_full(const struct unflushed_table *t);

/* From now on the owner is this one: what it or the one that gave it the device has
 * flushed is forgotten, what is not there any more is lost. */
void unflushed_meet(struct unflushed_table *t, const struct channel_owner *owner);

/* The oldest that is lost, of those after k (NULL: of all). NULL: none. */
struct unflushed_change *unflushed_next_lost(const struct unflushed_table *t,
                                             struct unflushed_change *k);

#endif
