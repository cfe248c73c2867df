/* SPDX-License-Identifier: BSD-3-Clause */
/* redir_rig.h - for the redirector's tests: a redirector over a fault port over memory,
 * and waits for what others have got to. It looks into redir_state.h so that a test can
 * wait for "n are queued" instead of sleeping. Requests are in redir_job.h. */
#ifndef BATON_REDIR_RIG_H
#define BATON_REDIR_RIG_H

#include <errno.h>

#include <check.h>

#include "clock.h"
#include "port_fault.h"
#include "port_mem.h"
#include "redir_state.h"

#define RIG_BLOCK 512U
#define RIG_SIZE (64U * RIG_BLOCK)
#define RIG_PATIENCE                                                                   \
    (3 * NS_PER_S) /* longer than any step takes, less than a test may */

struct rig {
    struct redir *r;
    struct port *a; /* fault port over memory; r's while it is active */
};

static inline uint64_t
soon(void)
{
    return clock_deadline_ns(RIG_PATIENCE);
}

static inline struct port *
rig_port(uint64_t size)
{
    struct port *mem, *fault;

    ck_assert_int_eq(port_mem_new(size, &mem), 0);
    ck_assert_int_eq(port_fault_new(mem, &fault), 0);
    return fault;
}

/* OPEN over a fresh local port. */
static inline struct rig
rig_open(uint64_t fail_after_ns)
{
    struct rig g = {.a = rig_port(RIG_SIZE)};
    struct port *old;

    ck_assert_int_eq(redir_new("t", &g.a->info, fail_after_ns, &g.r), 0);
    ck_assert_int_eq(redir_swap(g.r, g.a, REDIR_LOCAL, NULL, &old), 0);
    ck_assert_ptr_null(old);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(redir_wait_open(g.r, soon()), 0);
    return g;
}

/* Exchange the port of a QUIESCED redirector and close the old one. */
static inline void
rig_swap(struct rig *g, struct port *next, enum redir_side side)
{
    struct port *old;

    ck_assert_int_eq(redir_swap(g->r, next, side, NULL, &old), 0);
    port_close(old);
    g->a = next;
}

/* The same for an OPEN one, which ends QUIESCED. */
static inline void
rig_move(struct rig *g, struct port *next, enum redir_side side)
{
    ck_assert_int_eq(redir_hold(g->r), 0);
    ck_assert_int_eq(redir_drain(g->r, soon()), 0);
    rig_swap(g, next, side);
}

static inline struct redir_status
rig_status(struct rig *g)
{
    struct redir_status s;

    redir_status(g->r, &s);
    return s;
}

/* All has ended, and the redirector with it. */
static inline void
rig_finish(struct rig *g)
{
    ck_assert_int_eq(redir_wait_open(g->r, soon()), 0);
    ck_assert_uint_eq(rig_status(g).ledger.pending, 0);
    redir_free(g->r);
}

static inline uint64_t
nr_waiting(struct redir *r)
{
    LK_GUARD(&r->lock);
    return redir_locked(r)->queue.nr_waiting;
}

/* Wait until exactly n requests are queued. Only what ends a drain is announced, so
 * look again and again. */
static inline void
wait_queued(struct redir *r, uint64_t n)
{
    uint64_t deadline_ns = soon();

    LK_GUARD(&r->lock);
    while (redir_locked(r)->queue.nr_waiting != n && clock_now_ns() < deadline_ns) {
        (void)cv_wait_until(&r->changed, &r->lock, clock_deadline_ns(NS_PER_MS / 10));
    }
    ck_assert_uint_eq(redir_locked(r)->queue.nr_waiting, n);
}

/* Let real time pass without a sleep: nobody can wake this wait. */
static inline void
pass_time(uint64_t ns)
{
    uint64_t deadline_ns = clock_deadline_ns(ns);
    struct lk l;
    struct cv c;

    lk_init(&l);
    cv_init(&c);
    lk_acquire(&l);
    while (cv_wait_until(&c, &l, deadline_ns) == 0) {
    }
    lk_release(&l);
    cv_done(&c);
    lk_done(&l);
}

/* accepted = local + remote + failed + pending, and these numbers. */
static inline void
expect_ledger(struct redir *r, uint64_t local, uint64_t remote, uint64_t failed,
              uint64_t bounced, uint64_t pending)
{
    struct redir_status s;

    redir_status(r, &s);
    ck_assert_uint_eq(s.ledger.local, local);
    ck_assert_uint_eq(s.ledger.remote, remote);
    ck_assert_uint_eq(s.ledger.failed, failed);
    ck_assert_uint_eq(s.ledger.bounced, bounced);
    ck_assert_uint_eq(s.ledger.pending, pending);
    ck_assert_uint_eq(s.ledger.accepted, local + remote + failed + pending);
}

#endif
