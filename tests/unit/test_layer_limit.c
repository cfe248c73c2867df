/* SPDX-License-Identifier: BSD-3-Clause */
/* A fake clock: waiting until a deadline makes it the time (STEPPING), or waits until
 * the test moves the clock (MANUAL). */
#include <pthread.h>
#include <string.h>

#include <check.h>

#include "clock.h"
#include "layer_limit.h"
#include "port_mem.h"
#include "suite.h"

#define MIB (UINT64_C(1) << 20)
#define NR_THREADS 4

static struct fake {
    struct limit_clock clock;
    bool is_manual;
    /* The layer's lock guards what follows, as both calls are made with it held. */
    uint64_t now_ns;
    struct lk *layer_lock; /* known from the first wait on */
    struct cv *head;       /* of who waits with a deadline; NULL when nobody does */
    struct lk lock;        /* guards nr_waits; taken with the layer's lock held */
    struct cv changed;
    unsigned nr_waits; /* waits that have begun */
} fake;

static struct port *mem, *layer;

static uint64_t
fake_now(struct limit_clock *c)
{
    return ((struct fake *)c)->now_ns;
}

static void
count_wait(struct fake *f)
{
    LK_GUARD(&f->lock);
    f->nr_waits++;
    cv_broadcast(&f->changed);
}

static int
fake_wait(struct limit_clock *c, struct cv *cv, struct lk *l, uint64_t deadline_ns)
    LK_REQUIRES(*l)
{
    struct fake *f = (struct fake *)c;

    if (!f->is_manual) {
        f->now_ns = deadline_ns;
        return 0;
    }
    f->layer_lock = l;
    if (deadline_ns != CLOCK_NEVER) {
        f->head = cv;
    }
    count_wait(f);
    (void)cv_wait_until(cv, l, CLOCK_NEVER); /* always 0 */
    if (f->head == cv) {
        f->head = NULL;
    }
    return 0;
}

static void
wait_for_waits(unsigned n)
{
    uint64_t deadline_ns = clock_deadline_ns(3 * NS_PER_S);

    LK_GUARD(&fake.lock);
    while (fake.nr_waits < n) {
        ck_assert_int_eq(cv_wait_until(&fake.changed, &fake.lock, deadline_ns), 0);
    }
}

static void
advance(uint64_t ns) LK_UNCHECKED
{
    lk_acquire(fake.layer_lock);
    fake.now_ns += ns;
    if (fake.head != NULL) { /* else it is awake and will see the new time */
        cv_signal(fake.head);
    }
    lk_release(fake.layer_lock);
}

static void
open_limit(uint64_t iops, uint64_t bps, uint64_t burst_s)
{
    const struct limit_rates rates = {iops, bps, burst_s};

    ck_assert_int_eq(layer_limit_new(mem, &rates, &fake.clock, &layer), 0);
}

static void
setup(void)
{
    memset(&fake, 0, sizeof fake);
    fake.clock = (struct limit_clock){fake_now, fake_wait};
    fake.now_ns = 5 * NS_PER_S;
    lk_init(&fake.lock);
    cv_init(&fake.changed);
    ck_assert_int_eq(port_mem_new(64 * MIB, &mem), 0);
}

static void
teardown(void)
{
    port_close(layer);
    port_close(mem);
    cv_done(&fake.changed);
    lk_done(&fake.lock);
}

static char buf[32 * 1024 * 1024];

static void
submit(enum req_op op, uint32_t len)
{
    struct req rq = {.op = op, .len = len, .buf = buf};

    ck_assert_int_eq(port_submit(layer, &rq), 0);
}

/* How many requests are admitted before the clock has moved by ns? */
static unsigned
admitted_within(uint64_t ns, enum req_op op, uint32_t len)
{
    uint64_t end = fake.now_ns + ns;
    unsigned n = 0;

    for (;;) {
        submit(op, len);
        if (fake.now_ns > end) {
            return n;
        }
        n++;
    }
}

START_TEST(exactly_the_burst_and_then_the_rate_is_admitted)
{
    open_limit(100, 0, 1);
    ck_assert_uint_eq(admitted_within(0, REQ_READ, 512), 100); /* the full bucket */
    /* That call has also paid for the one after; 10 ms of the time are gone. */
    ck_assert_uint_eq(admitted_within(10 * NS_PER_S, REQ_READ, 512), 1000);
}
END_TEST

START_TEST(rate_that_does_not_divide_a_second_does_not_drift)
{
    uint64_t start = fake.now_ns;
    int i;

    open_limit(3, 0, 1);
    for (i = 0; i < 3 + 3 * 1000; i++) {
        submit(REQ_FLUSH, 0);
    }
    ck_assert_uint_eq(fake.now_ns - start, 1000 * NS_PER_S + 0);
}
END_TEST

START_TEST(bytes_of_reads_and_writes_are_limited)
{
    uint64_t start = fake.now_ns;

    open_limit(0, MIB, 1);
    submit(REQ_WRITE, MIB);
    ck_assert_uint_eq(fake.now_ns, start);
    submit(REQ_READ, MIB / 4);
    ck_assert_uint_eq(fake.now_ns, start + NS_PER_S / 4);
    submit(REQ_WRITE, MIB / 2);
    ck_assert_uint_eq(fake.now_ns, start + NS_PER_S / 4 * 3);
}
END_TEST

START_TEST(requests_without_data_cost_no_bytes)
{
    uint64_t start = fake.now_ns;

    open_limit(0, 1, 1);
    submit(REQ_TRIM, 64 * MIB);
    submit(REQ_ZERO, 64 * MIB);
    submit(REQ_FLUSH, 0);
    ck_assert_uint_eq(fake.now_ns, start);
}
END_TEST

START_TEST(request_larger_than_the_bucket_waits_for_it_to_be_full_and_makes_debt)
{
    uint64_t start = fake.now_ns;

    open_limit(0, MIB, 2);
    submit(REQ_READ, 1);
    submit(REQ_READ, 32 * MIB); /* the bucket holds 2 MiB and lacks one byte */
    ck_assert_uint_eq(fake.now_ns, start + (NS_PER_S + MIB - 1) / MIB);
    submit(REQ_READ, MIB); /* 30 MiB of debt and 1 MiB */
    ck_assert_uint_eq(fake.now_ns / NS_PER_MS, (start + 31 * NS_PER_S) / NS_PER_MS);
}
END_TEST

START_TEST(idle_time_saves_up_no_more_than_the_burst)
{
    open_limit(10, 0, 3);
    fake.now_ns += 1000 * NS_PER_S;
    ck_assert_uint_eq(admitted_within(0, REQ_READ, 1), 30);
}
END_TEST

START_TEST(slower_of_both_limits_decides)
{
    uint64_t start = fake.now_ns;

    open_limit(1, 100, 1);
    submit(REQ_READ, 100);
    submit(REQ_READ, 50); /* half a second of bytes, a whole one of requests */
    ck_assert_uint_eq(fake.now_ns, start + NS_PER_S);
    submit(REQ_READ, 100);
    submit(REQ_READ, 100);
    ck_assert_uint_eq(fake.now_ns, start + 3 * NS_PER_S);
}
END_TEST

static struct order {
    struct lk lock;
    unsigned nr;
    uint32_t len[NR_THREADS];
} order;

/* Remembers in which order requests arrive below the limit, by their length. */
static int
order_submit(struct port *p, const struct req *rq)
{
    (void)p; /* the only one */
    LK_GUARD(&order.lock);
    order.len[order.nr++] = rq->len;
    return 0;
}

static const struct port_ops order_ops = {.name = "order", .submit = order_submit};

static void *
submit_thread(void *arg)
{
    submit(REQ_READ, (uint32_t)(uintptr_t)arg);
    return NULL;
}

START_TEST(waiting_requests_are_admitted_in_order_of_arrival)
{
    static const uintptr_t lens[NR_THREADS] = {1000, 400, 1, 2};
    const struct limit_rates rates = {0, 1000, 1};
    struct port below = {&order_ops, mem->info};
    pthread_t threads[NR_THREADS];
    unsigned i;

    order = (struct order){.nr = 0};
    lk_init(&order.lock);
    fake.is_manual = true;
    ck_assert_int_eq(layer_limit_new(&below, &rates, &fake.clock, &layer), 0);
    submit(REQ_READ, 1000);
    order.nr = 0;
    for (i = 0; i < NR_THREADS; i++) {
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, submit_thread, (void *)lens[i]), 0);
        wait_for_waits(i + 1 + (i == NR_THREADS - 1));
        if (i == NR_THREADS - 2) {
            advance(NS_PER_S / 2); /* enough for all but the first, the late one too */
            wait_for_waits(NR_THREADS);
        }
    }
    wait_for_waits(NR_THREADS + 1);
    ck_assert_uint_eq(order.nr, 0);
    advance(NS_PER_S / 2);
    for (i = 0; i < NR_THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(order.nr, i + 1);
        ck_assert_uint_eq(order.len[i], lens[i]);
        if (i + 1 < NR_THREADS) {
            wait_for_waits(NR_THREADS + 2 + i); /* the next one is the head now */
            advance(lens[i + 1] * NS_PER_MS);
        }
    }
    lk_done(&order.lock);
}
END_TEST

SUITE("layer limit") = {
    CASE("limit", .setup = setup, .teardown = teardown),
    TEST(exactly_the_burst_and_then_the_rate_is_admitted),
    TEST(rate_that_does_not_divide_a_second_does_not_drift),
    TEST(bytes_of_reads_and_writes_are_limited),
    TEST(requests_without_data_cost_no_bytes),
    TEST(request_larger_than_the_bucket_waits_for_it_to_be_full_and_makes_debt),
    TEST(idle_time_saves_up_no_more_than_the_burst),
    TEST(slower_of_both_limits_decides),
    TEST(waiting_requests_are_admitted_in_order_of_arrival),
};
