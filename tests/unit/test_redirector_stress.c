/* SPDX-License-Identifier: BSD-3-Clause */
/* Overlapping stamped I/O on eight threads, while a controller moves the disk between
 * two ports over one memory a thousand times, with aborts, cancels, time-outs,
 * recalls and bounces in between.
 *
 * Every block holds a stamp: who wrote it and the how-manieth write of that thread it
 * was. A thread has one request at a time, so its stamps on a block may only grow for
 * every reader; on its own blocks it must read exactly what was acknowledged last. A
 * port that is out notices whoever still reaches it (redir_end.h). */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "clock.h"
#include "port_mem.h"
#include "redir_end.h"
#include "redirector.h"
#include "suite.h"

#define NR_WORKERS 8U
#define NR_CHANNEL_WORKERS 2U /* of these; their requests may be bounced */
#define NR_SHARED 8U          /* blocks that all write */
#define NR_OWN 4U             /* blocks of each worker alone */
#define NR_BLOCKS (NR_SHARED + NR_WORKERS * NR_OWN)
#define MAX_SPAN 3U
#define NR_ROUNDS 1000U
#define STAMPS 64U /* per block */
#define BLOCK (STAMPS * sizeof(struct stamp))
#define PATIENCE (20 * NS_PER_S)

struct stamp {
    uint32_t worker; /* 1.., 0 is what was never written */
    uint32_t serial;
};

struct world {
    struct redir *r;
    struct end a, b;
    struct port *mem;
    _Atomic bool is_over; /* seq_cst; orders nothing else */
    struct worker {
        struct world *w;
        unsigned id; /* 1.. */
        unsigned seed;
        const void *origin;
        pthread_t thread;
        uint32_t serial;
        uint32_t own[NR_OWN];                     /* acknowledged last */
        uint32_t seen[NR_SHARED][NR_WORKERS + 1]; /* newest of each writer */
        uint64_t nr_submitted, nr_bounced;
        struct stamp buf[MAX_SPAN * STAMPS];
    } workers[NR_WORKERS];
    unsigned seed;
    uint64_t nr_moves, nr_aborts, nr_recalls, nr_pauses;
};

static unsigned
pick(unsigned *seed, unsigned n)
{
    return (unsigned)rand_r(seed) / 7U % n;
}

/* 0, or -ESTALE for a channel's request that was bounced. Nothing else is right. */
static int
submit(struct worker *k, enum req_op op, unsigned block, unsigned span)
{
    struct req rq = {.op = op, .buf = k->buf, .origin = k->origin};
    int rc;

    if (op != REQ_FLUSH) {
        rq.off = (uint64_t)block * BLOCK;
        rq.len = span * (uint32_t)BLOCK;
    }
    k->nr_submitted++;
    rc = port_submit(redir_port(k->w->r), &rq);
    if (rc == -ESTALE && k->origin != NULL) {
        k->nr_bounced++;
        (void)sched_yield(); /* a client would have to find the new owner first */
    } else if (rc != 0) {
        violation("a request failed");
    }
    return rc;
}

static int
write_stamps(struct worker *k, unsigned block, unsigned span)
{
    k->serial++;
    for (unsigned i = 0; i < span * STAMPS; i++) {
        k->buf[i] = (struct stamp){.worker = k->id, .serial = k->serial};
    }
    return submit(k, REQ_WRITE, block, span);
}

/* The stamp of the i-th block read. Blocks are written whole. */
static struct stamp
read_stamp(const struct worker *k, unsigned i)
{
    const struct stamp *s = &k->buf[i * STAMPS];

    if (memcmp(s, s + 1, BLOCK - sizeof *s) != 0) {
        violation("a block is torn");
    }
    if (s->worker > NR_WORKERS) {
        violation("a block has a stamp of nobody");
        return (struct stamp){0, 0};
    }
    return *s;
}

static void
check_shared(struct worker *k, unsigned block, unsigned span)
{
    for (unsigned i = 0; i < span; i++) {
        struct stamp s = read_stamp(k, i);

        if (s.serial < k->seen[block + i][s.worker]) {
            violation("an old write came back after a newer one of its writer");
        }
        k->seen[block + i][s.worker] = s.serial;
    }
}

static void
check_own(struct worker *k, unsigned i)
{
    struct stamp s = read_stamp(k, 0);

    if (s.serial != k->own[i] || (s.serial != 0 && s.worker != k->id)) {
        violation("an acknowledged write is not read back");
    }
}

static void
work_once(struct worker *k)
{
    unsigned span = 1 + pick(&k->seed, MAX_SPAN);
    unsigned shared = pick(&k->seed, NR_SHARED - span + 1), i = pick(&k->seed, NR_OWN);
    unsigned own = NR_SHARED + (k->id - 1) * NR_OWN + i;

    switch (pick(&k->seed, 5)) {
    case 0:
        (void)write_stamps(k, shared, span); /* checked by whoever reads it */
        break;
    case 1:
        if (submit(k, REQ_READ, shared, span) == 0) {
            check_shared(k, shared, span);
        }
        break;
    case 2:
        if (write_stamps(k, own, 1) == 0) {
            k->own[i] = k->serial;
        }
        break;
    case 3:
        if (submit(k, REQ_READ, own, 1) == 0) {
            check_own(k, i);
        }
        break;
    case 4:
        (void)submit(k, REQ_FLUSH, 0, 0); /* nothing to see afterwards */
        break;
    }
}

static void *
worker_main(void *arg)
{
    struct worker *k = (struct worker *)arg;

    while (!atomic_load(&k->w->is_over)) {
        work_once(k);
    }
    return NULL;
}

/* 0, or why the handoff is given up; a recalled port must not be released, so then it
 * is not given up. */
static int
drain(struct world *w, bool is_recalled)
{
    bool is_hasty = !is_recalled && pick(&w->seed, 8) == 0;
    int rc;

    if (pick(&w->seed, 8) == 0) {
        redir_cancel_drain(w->r);
        rc = redir_drain(w->r, clock_deadline_ns(PATIENCE));
        ck_assert_int_eq(rc, -ECANCELED);
        if (!is_recalled) {
            return rc;
        }
    }
    rc = redir_drain(w->r, is_hasty ? 0 : clock_deadline_ns(PATIENCE));
    ck_assert(rc == 0 || (is_hasty && rc == -ETIMEDOUT));
    return rc;
}

/* QUIESCED: exchange the ends, and put the old one out of service. */
static void
exchange(struct world *w, bool is_local)
{
    struct end *old = is_local ? &w->a : &w->b, *next = is_local ? &w->b : &w->a;
    struct port *handed_back;
    struct err e = {""};

    ck_assert_msg(redir_check_ledger(w->r, &e) == 0, "%s", e.msg);
    if (pick(&w->seed, 4) == 0) {
        redir_bounce(w->r, REDIR_ALL_CHANNELS);
    }
    ck_assert_int_eq(redir_swap(w->r, &next->port,
                                is_local ? REDIR_REMOTE : REDIR_LOCAL, NULL,
                                &handed_back),
                     0);
    ck_assert_ptr_eq(handed_back, &old->port);
    end_set(old, END_OUT);
    end_set(next, END_SERVING);
    w->nr_moves++;
}

/* The gate is closed for a moment, which may end before, in or without a handoff. */
static void
pause_first(struct world *w)
{
    uint64_t now_ns = clock_now_ns();

    if (redir_pause(w->r, now_ns + pick(&w->seed, 300) * NS_PER_US) == 0) {
        w->nr_pauses++;
        (void)redir_await_pause(w->r, now_ns + pick(&w->seed, 200) * NS_PER_US);
    }
    if (pick(&w->seed, 4) == 0) {
        redir_end_pause(w->r);
    }
}

/* One handoff, which may be given up before the exchange. Begins OPEN or REPLAYING. */
static void
handoff(struct world *w, bool *is_local)
{
    bool is_recalled = !*is_local && pick(&w->seed, 2) == 0;
    int rc;

    if (pick(&w->seed, 3) == 0) {
        pause_first(w);
    }
    if (is_recalled) {
        end_set(&w->b, END_LOST); /* so that there is something to recall */
        sched_yield();
    }
    ck_assert_int_eq(redir_hold(w->r), 0);
    if (is_recalled) {
        end_set(&w->b, END_RECALLED);
        w->nr_recalls++;
    }
    rc = drain(w, is_recalled);
    if (rc == 0 && (is_recalled || pick(&w->seed, 8) != 0)) {
        exchange(w, *is_local);
        *is_local = !*is_local;
    } else {
        w->nr_aborts++;
    }
    ck_assert_int_eq(redir_release(w->r), 0);
    if (pick(&w->seed, 4) != 0) {
        ck_assert_int_eq(redir_wait_open(w->r, clock_deadline_ns(PATIENCE)), 0);
    }
}

static void
start(struct world *w)
{
    struct port *old;

    ck_assert_int_eq(port_mem_new(NR_BLOCKS * BLOCK, &w->mem), 0);
    end_init(&w->a, w->mem, END_SERVING);
    end_init(&w->b, w->mem, END_OUT);
    ck_assert_int_eq(redir_new("stress", &w->mem->info, CLOCK_NEVER, &w->r), 0);
    ck_assert_int_eq(redir_swap(w->r, &w->a.port, REDIR_LOCAL, NULL, &old), 0);
    ck_assert_int_eq(redir_release(w->r), 0);
    w->seed = 42;
    for (unsigned i = 0; i < NR_WORKERS; i++) {
        struct worker *k = &w->workers[i];

        k->w = w;
        k->id = i + 1;
        k->seed = 1000 + i;
        k->origin = i < NR_CHANNEL_WORKERS ? k : NULL;
        ck_assert_int_eq(pthread_create(&k->thread, NULL, worker_main, k), 0);
    }
}

static void
stop(struct world *w)
{
    ck_assert_int_eq(redir_wait_open(w->r, clock_deadline_ns(PATIENCE)), 0);
    atomic_store(&w->is_over, true);
    for (unsigned i = 0; i < NR_WORKERS; i++) {
        ck_assert_int_eq(pthread_join(w->workers[i].thread, NULL), 0);
    }
}

static void
expect_no_violation(void)
{
    const char *what = atomic_load(&first_violation);

    ck_assert_msg(what == NULL, "%s", what);
}

static void
expect_balance(struct world *w)
{
    uint64_t nr_submitted = 0, nr_bounced = 0;
    struct redir_status s;

    for (unsigned i = 0; i < NR_WORKERS; i++) {
        nr_submitted += w->workers[i].nr_submitted;
        nr_bounced += w->workers[i].nr_bounced;
    }
    redir_status(w->r, &s);
    ck_assert_uint_eq(s.ledger.accepted + s.ledger.bounced, nr_submitted);
    ck_assert_uint_eq(s.ledger.local, end_performed(&w->a));
    ck_assert_uint_eq(s.ledger.remote, end_performed(&w->b));
    ck_assert_uint_eq(s.ledger.bounced, nr_bounced);
    ck_assert_uint_eq(s.ledger.failed, 0);
    ck_assert_uint_eq(s.ledger.pending, 0);
    ck_assert_uint_eq(s.queued, 0);
    ck_assert_uint_eq(s.in_flight, 0);
}

START_TEST(nothing_is_lost_repeated_or_reordered_by_handoffs)
{
    static struct world w;
    bool is_local = true;

    start(&w);
    for (unsigned i = 0; i < NR_ROUNDS; i++) {
        handoff(&w, &is_local);
        expect_no_violation();
    }
    stop(&w);
    expect_no_violation();
    expect_balance(&w);
    ck_assert_uint_gt(w.nr_moves, NR_ROUNDS / 4);
    ck_assert_uint_gt(w.nr_aborts, 0);
    ck_assert_uint_gt(w.nr_recalls, 0);
    ck_assert_uint_gt(w.nr_pauses, 0);
    redir_free(w.r);
    port_close(w.mem);
}
END_TEST

SUITE("redirector_stress") = {
    /* Some seconds under a sanitizer; the default of 4 s is too near on a busy machine.
     */
    CASE("stress", .timeout_s = 60),
    TEST(nothing_is_lost_repeated_or_reordered_by_handoffs),
};
