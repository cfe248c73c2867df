/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <string.h>

#include <check.h>

#include "histogram.h"
#include "suite.h"

static struct histogram h;

static void
empty_histogram(void)
{
    memset(&h, 0, sizeof h);
}

START_TEST(bound_is_at_most_one_sixteenth_above_every_value)
{
    uint64_t v, step;

    for (v = 0; v < UINT64_MAX - UINT64_MAX / 64; v += step) {
        uint64_t bound = hist_bucket_bound(hist_bucket(v));

        ck_assert_uint_ge(bound, v);
        ck_assert_uint_le(bound - v, v / 16);
        step = v / 100 + 1;
    }
}
END_TEST

START_TEST(buckets_leave_no_gap_and_do_not_overlap)
{
    unsigned b;

    ck_assert_uint_eq(hist_bucket(0), 0);
    for (b = 0; b < HIST_NR_BUCKETS; b++) {
        uint64_t bound = hist_bucket_bound(b);

        ck_assert_uint_eq(hist_bucket(bound), b);
        if (b + 1 < HIST_NR_BUCKETS) {
            ck_assert_uint_eq(hist_bucket(bound + 1), b + 1);
        } else {
            ck_assert(bound == UINT64_MAX);
        }
    }
}
END_TEST

START_TEST(percentiles_are_within_one_sixteenth_above_the_exact_ones)
{
    static const unsigned permilles[] = {1, 500, 990, 999, 1000};
    uint64_t i, exact, got;
    unsigned k;

    for (i = 1; i <= 10000; i++) {
        hist_add(&h, (unsigned)(i % HIST_STRIPES), i * 1000);
    }
    ck_assert_uint_eq(hist_count(&h), 10000);
    ck_assert_uint_eq(hist_max(&h), 10000000);
    for (k = 0; k < 5; k++) {
        exact = permilles[k] * UINT64_C(10000);
        got = hist_percentile(&h, permilles[k]);
        ck_assert_uint_ge(got, exact);
        ck_assert_uint_le(got, exact + exact / 16);
    }
    ck_assert_uint_eq(hist_percentile(&h, 1000),
                      10000000); /* never above the maximum */
}
END_TEST

START_TEST(percentile_rounds_the_rank_up)
{
    hist_add(&h, 0, 1);
    hist_add(&h, 0, 2);
    hist_add(&h, 0, 9);
    ck_assert_uint_eq(hist_percentile(&h, 333), 1);
    ck_assert_uint_eq(hist_percentile(&h, 334), 2);
    ck_assert_uint_eq(hist_percentile(&h, 667), 9);
}
END_TEST

START_TEST(empty_histogram_says_zero)
{
    ck_assert_uint_eq(hist_count(&h), 0);
    ck_assert_uint_eq(hist_max(&h), 0);
    ck_assert_uint_eq(hist_percentile(&h, 990), 0);
}
END_TEST

static void *
add_many(void *arg)
{
    uint64_t i;

    (void)arg; /* all threads do the same, some of them on the same stripe */
    for (i = 0; i < 20000; i++) {
        hist_add(&h, hist_stripe(), i);
    }
    return NULL;
}

START_TEST(no_value_is_lost_between_threads)
{
    pthread_t threads[8];
    int i;

    for (i = 0; i < 8; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    }
    for (i = 0; i < 8; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_eq(hist_count(&h), 8 * 20000);
    ck_assert_uint_eq(hist_max(&h), 19999);
}
END_TEST

START_TEST(values_below_25_s_touch_one_page_of_a_stripe)
{
    struct hist_stripe *s = &h.stripes[0];

    ck_assert_uint_eq((uintptr_t)s % 4096, 0);
    ck_assert_uint_lt((uintptr_t)&s->buckets[hist_bucket(UINT64_C(25000000000))] -
                          (uintptr_t)s,
                      4096);
}
END_TEST

SUITE("histogram") = {
    CASE("histogram", .setup = empty_histogram),
    TEST(bound_is_at_most_one_sixteenth_above_every_value),
    TEST(buckets_leave_no_gap_and_do_not_overlap),
    TEST(percentiles_are_within_one_sixteenth_above_the_exact_ones),
    TEST(percentile_rounds_the_rank_up),
    TEST(empty_histogram_says_zero),
    TEST(no_value_is_lost_between_threads),
    TEST(values_below_25_s_touch_one_page_of_a_stripe),
};
