/* SPDX-License-Identifier: BSD-3-Clause */
/* hold_queue.h - private to redirector/: requests that found the gate closed, in
 * arrival order. Entries live on the stacks of the threads that brought them. No lock
 * of its own: every call is made under the redirector's lock.
 *
 * An entry is WAITING, then RUNNING (its thread is at the port), or BOUNCED. It stays
 * in the list until its thread takes it out, so that later entries that conflict with
 * it see it. An entry is "late" when it arrived after the release: it has to follow
 * what was held, but nothing has to follow it, so what was held only shrinks and a
 * replay ends under any load.
 */
#ifndef BATON_HOLD_QUEUE_H
#define BATON_HOLD_QUEUE_H

#include <sys/queue.h>

#include "lock.h"
#include "port.h"

enum held_state { HELD_WAITING, HELD_RUNNING, HELD_BOUNCED };

struct held {
    const struct req *rq;
    enum held_state state;
    bool is_late;
    bool is_prepended;
    uint64_t since_ns;    /* when it arrived */
    uint64_t deadline_ns; /* fail-after; CLOCK_NEVER: none */
    uint64_t recalled;    /* its place among those that port B gave back */
    struct cv woken;      /* state is no longer WAITING */
    TAILQ_ENTRY(held) link;
};

struct hold_queue {
    TAILQ_HEAD(, held) list;
    uint64_t nr_waiting;
    uint64_t nr_sent; /* times that an entry became RUNNING; the owner resets it */
    uint64_t nr_held; /* entries in the list that are not late, in any state */
};

void hold_queue_init(struct hold_queue *q);

/* Does rq have to follow something that was held? */
bool hold_queue_blocks(const struct hold_queue *q, const struct req *rq);

/* Add e, WAITING, behind everything. */
void hold_queue_append(struct hold_queue *q, struct held *e);

/* Add e, WAITING, in front of everything, since it was accepted before all of it, but
 * behind others that were prepended and have a lower `recalled`. */
void hold_queue_prepend(struct hold_queue *q, struct held *e);

/* e was RUNNING and its port gave it back: WAITING again, in its old place. */
void hold_queue_return(struct hold_queue *q, struct held *e);

/* Take e out; wake what waited for it alone if is_replaying. */
void hold_queue_remove(struct hold_queue *q, struct held *e, bool is_replaying);

/* Make RUNNING, and wake, every WAITING entry that conflicts with none before it. */
void hold_queue_dispatch(struct hold_queue *q);

/* Make BOUNCED, and wake, every WAITING entry that `matches` says so of. */
void hold_queue_bounce(struct hold_queue *q,
                       bool (*matches)(const struct held *e, const void *arg),
                       const void *arg);

/* What is late is held from now on (a new hold). */
void hold_queue_rehold(struct hold_queue *q);

/* Of the WAITING entries: arrival of the oldest (0 when none), bytes of data. */
void hold_queue_measure(const struct hold_queue *q, uint64_t *ret_oldest_ns,
                        uint64_t *ret_bytes);

#endif
