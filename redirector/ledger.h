/* SPDX-License-Identifier: BSD-3-Clause */
/* ledger.h - private to redirector/: the striped counters of one redirector. A thread
 * always counts on its own stripe, so that two threads rarely share a cache line. */
#ifndef BATON_LEDGER_H
#define BATON_LEDGER_H

#include <stdatomic.h>

#include "redirector.h"

#define LEDGER_STRIPES 16 /* power of two; 1 KiB a disk */

enum ledger_outcome { LEDGER_LOCAL, LEDGER_REMOTE, LEDGER_FAILED, LEDGER_BOUNCED };
#define LEDGER_NR_OUTCOMES 4

/* All operations are seq_cst: the gate protocol (redirector.c) needs "counted, then
 * looked at the gate" and "closed the gate, then summed" in one total order. */
struct ledger {
    struct ledger_stripe {
        _Atomic uint64_t accepted;
        _Atomic uint64_t ended[LEDGER_NR_OUTCOMES];
    } __attribute__((aligned(64))) stripes[LEDGER_STRIPES];
};

/* The calling thread's stripe, the same for its whole life. */
struct ledger_stripe *ledger_stripe(struct ledger *l);

static inline void
ledger_accept(struct ledger_stripe *s)
{
    atomic_fetch_add(&s->accepted, 1);
}

static inline void
ledger_end(struct ledger_stripe *s, enum ledger_outcome o)
{
    atomic_fetch_add(&s->ended[o], 1);
}

/* Sum the stripes: what has ended first, then what was accepted, so that
 * accepted >= ended in every sum; pending is the difference. */
struct redir_ledger ledger_sum(struct ledger *l);

/* Requests accepted and not ended, never too few once the gate is closed: accepted is
 * read before ended on each stripe, and a request uses one stripe for both. */
uint64_t ledger_unfinished(struct ledger *l);

#endif
