/* SPDX-License-Identifier: BSD-3-Clause */
/* unacked.h - for a port that has one link to its server after the other: the table of
 * its unacknowledged requests, in the order of arrival. Entries live on the stacks of
 * the threads inside submit. No lock of its own: every call is made under the port's.
 *
 * A request that a link left unanswered is doubtful: the server may have performed
 * it, and others may have seen that. Newer requests that conflict with it have to
 * follow its second sending.
 *
 * Changes that overlap are not in flight together at all: of two that are, the newer
 * may be answered, the link end, and the older be performed a second time, over
 * what was acknowledged. */
#ifndef BATON_UNACKED_H
#define BATON_UNACKED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "port.h"

struct unacked {
    const struct req *rq;
    uint64_t arrival; /* grows along the table */
    bool is_doubtful;
    TAILQ_ENTRY(unacked) link;
};

struct unacked_table {
    TAILQ_HEAD(, unacked) list;
    unsigned nr;          /* entries in it */
    unsigned nr_doubtful; /* of these */
    unsigned nr_changes;  /* of all */
    uint64_t nr_arrivals; /* ever */
    bool is_followed; /* somebody has been told to follow since the last departure */
};

void unacked_init(struct unacked_table *t);
void unacked_arrive(struct unacked_table *t, struct unacked *u);

/* Take u out. May others go now? */
bool unacked_depart(struct unacked_table *t, struct unacked *u);

void unacked_doubt(struct unacked_table *t, struct unacked *u);

/* When u is no longer waited for (req.deadline_ns); CLOCK_NEVER: never. */
uint64_t unacked_deadline_ns(const struct unacked *u);

/* Is that time over? */
bool unacked_is_over(const struct unacked *u);

/* Is there an older request that is doubtful and conflicts with u, or that is a change
 * of the same bytes as u is? */
bool unacked_has_to_follow(struct unacked_table *t, const struct unacked *u);

#endif
