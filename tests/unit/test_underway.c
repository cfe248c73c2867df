/* SPDX-License-Identifier: BSD-3-Clause */
/* Since when requests are under way (base/underway.h). */
#include <pthread.h>

#include <check.h>

#include "suite.h"
#include "underway.h"

static const int here = 1, there = 2;

START_TEST(nothing_is_under_way_at_first)
{
    ck_assert_uint_eq(underway_oldest_ns(&here), 0);
    underway_end();
    underway_at(&here); /* of a thread that has begun none */
    ck_assert_uint_eq(underway_oldest_ns(&here), 0);
}
END_TEST

START_TEST(a_request_is_under_way_where_it_is_until_it_ends)
{
    underway_begin(7);
    ck_assert_uint_eq(underway_oldest_ns(&here), 0);
    underway_at(&here);
    ck_assert_uint_eq(underway_oldest_ns(&here), 7);
    ck_assert_uint_eq(underway_oldest_ns(&there), 0);
    underway_end();
    ck_assert_uint_eq(underway_oldest_ns(&here), 0);
}
END_TEST

static void *
begin_another(void *arg)
{
    underway_begin(*(const uint64_t *)arg);
    underway_at(&here);
    ck_assert_uint_eq(underway_oldest_ns(&here), 5);
    return NULL; /* without an end: the thread takes its note along */
}

START_TEST(the_oldest_of_all_threads_counts)
{
    uint64_t at_ns = 5;
    pthread_t thread;

    underway_begin(9);
    underway_at(&here);
    ck_assert_int_eq(pthread_create(&thread, NULL, begin_another, &at_ns), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(underway_oldest_ns(&here), 9);
    underway_end();
}
END_TEST

SUITE("underway") = {
    CASE("underway"),
    TEST(nothing_is_under_way_at_first),
    TEST(a_request_is_under_way_where_it_is_until_it_ends),
    TEST(the_oldest_of_all_threads_counts),
};
