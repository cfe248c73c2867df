/* SPDX-License-Identifier: BSD-3-Clause */
/* unflushed.h - private to port_channel.c: copies of the changes that an owner has
 * acknowledged and not flushed, in the order of their acknowledgement. No lock of its
 * own: every call but kept_copy() is made under the channel's.
 *
 * What an owner of another instance has acknowledged is lost, as far as can be known,
 * and has to be sent again before anything else is. */
#ifndef BATON_UNFLUSHED_H
#define BATON_UNFLUSHED_H

#include <stdbool.h>
#include <sys/queue.h>

#include "channel_owner.h"
#include "port.h"

struct kept_change {
    struct req rq; /* with a copy of its buffer */
    uint64_t number;
    bool is_lost;
    TAILQ_ENTRY(kept_change) link;
    char data[];
};

struct kept_table {
    TAILQ_HEAD(kept_list, kept_change) list;
    uint64_t next_number;
    uint64_t nr, bytes; /* in it; bytes of copies */
    uint64_t max_nr, max_bytes;
    struct channel_owner owner; /* who has acknowledged what is not lost */
};

void kept_init(struct kept_table *t, uint64_t max_bytes);
void kept_done(struct kept_table *t);

/* NULL: no memory. Any thread. The caller's, for kept_add() or free(). */
struct kept_change *kept_copy(const struct req *rq);

/* Put it in; forget it. Both take it over. */
void kept_add(struct kept_table *t, struct kept_change *k);
void kept_drop(struct kept_table *t, struct kept_change *k);

/* A flush that begins now covers what is in the table now, which is
 * forgotten by kept_flushed() with this mark if it succeeds. */
uint64_t kept_mark(const struct kept_table *t);
void kept_flushed(struct kept_table *t, uint64_t mark);

bool kept_overlaps(const struct kept_table *t, const struct req *rq);

/* Half of what is allowed, so that somebody should flush; all of it. */
bool kept_is_half_full(const struct kept_table *t);
bool kept_is_full(const struct kept_table *t);

/* From now on the owner is this one: what it or the one that gave it the device has
 * flushed is forgotten, what is not there any more is lost. */
void kept_meet(struct kept_table *t, const struct channel_owner *owner);

/* The oldest that is lost, of those after k (NULL: of all). NULL: none. */
struct kept_change *kept_next_lost(const struct kept_table *t, struct kept_change *k);

#endif
