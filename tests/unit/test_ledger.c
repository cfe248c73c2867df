/* SPDX-License-Identifier: BSD-3-Clause */
/* The striped counters on their own. */
#include <pthread.h>
#include <stdatomic.h>

#include <check.h>

#include "ledger.h"
#include "suite.h"

#define NR_THREADS 20 /* more than stripes, so that some share one */
#define NR_REQUESTS 5000U

START_TEST(every_outcome_is_counted_once)
{
    struct ledger l = {0};
    struct ledger_stripe *s = ledger_stripe(&l);
    struct redir_ledger sum;

    for (int i = 0; i < 11; i++) {
        ledger_accept(s);
    }
    for (int o = 0; o < LEDGER_NR_OUTCOMES; o++) {
        for (int i = 0; i <= o; i++) {
            ledger_end(s, (enum ledger_outcome)o);
        }
    }
    sum = ledger_sum(&l);
    ck_assert_uint_eq(sum.accepted, 11 - 4); /* without what was bounced */
    ck_assert_uint_eq(sum.local, 1);
    ck_assert_uint_eq(sum.remote, 2);
    ck_assert_uint_eq(sum.failed, 3);
    ck_assert_uint_eq(sum.bounced, 4);
    ck_assert_uint_eq(sum.pending, 1);
    ck_assert_uint_eq(ledger_unfinished(&l), 1);
}
END_TEST

START_TEST(a_thread_keeps_its_stripe_in_every_ledger)
{
    struct ledger a = {0}, b = {0};
    struct ledger_stripe *s = ledger_stripe(&a);

    ck_assert_ptr_eq(ledger_stripe(&a), s);
    ck_assert_int_eq(ledger_stripe(&b) - b.stripes, s - a.stripes);
}
END_TEST

START_TEST(a_stripe_is_one_cache_line)
{
    ck_assert_uint_eq(sizeof(struct ledger_stripe), 64);
    ck_assert_uint_eq(_Alignof(struct ledger_stripe), 64);
}
END_TEST

struct counter {
    struct ledger ledger;
    _Atomic unsigned nr_running; /* seq_cst; orders nothing else */
};

static void *
count(void *arg)
{
    struct counter *c = (struct counter *)arg;
    struct ledger_stripe *s = ledger_stripe(&c->ledger);

    for (unsigned i = 0; i < NR_REQUESTS; i++) {
        ledger_accept(s);
        ledger_end(s, (enum ledger_outcome)(i % LEDGER_NR_OUTCOMES));
    }
    atomic_fetch_sub(&c->nr_running, 1);
    return NULL;
}

static void
expect_complete(struct ledger *l)
{
    struct redir_ledger sum = ledger_sum(l);
    uint64_t share = (uint64_t)NR_THREADS * NR_REQUESTS / LEDGER_NR_OUTCOMES;

    ck_assert_uint_eq(sum.accepted, share * (LEDGER_NR_OUTCOMES - 1));
    ck_assert_uint_eq(sum.local, share);
    ck_assert_uint_eq(sum.remote, share);
    ck_assert_uint_eq(sum.failed, share);
    ck_assert_uint_eq(sum.bounced, share);
    ck_assert_uint_eq(ledger_unfinished(l), 0);
}

START_TEST(no_sum_has_more_ended_than_accepted)
{
    static struct counter c;
    pthread_t threads[NR_THREADS];
    struct redir_ledger sum;

    atomic_store(&c.nr_running, NR_THREADS);
    for (int i = 0; i < NR_THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count, &c), 0);
    }
    while (atomic_load(&c.nr_running) > 0) {
        sum = ledger_sum(&c.ledger);
        ck_assert_uint_le(sum.pending, sum.accepted); /* a negative one would wrap */
    }
    for (int i = 0; i < NR_THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    expect_complete(&c.ledger);
}
END_TEST

SUITE("ledger") = {
    CASE("ledger"),
    TEST(every_outcome_is_counted_once),
    TEST(a_thread_keeps_its_stripe_in_every_ledger),
    TEST(a_stripe_is_one_cache_line),
    TEST(no_sum_has_more_ended_than_accepted),
};
