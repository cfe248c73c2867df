/* SPDX-License-Identifier: BSD-3-Clause */

#include <check.h>

#include "suite.h"
#include "unacked.h"

static const struct req first = {.op = REQ_WRITE, .off = 0, .len = 1024};
static const struct req second = {.op = REQ_WRITE, .off = 512, .len = 1024};
static const struct req third = {.op = REQ_READ, .off = 1024, .len = 512};
static const struct req beside = {.op = REQ_WRITE, .off = 4096, .len = 512};

/* All were sent, none was answered, and each has to be sent again. */
START_TEST(doubtful_requests_that_conflict_go_in_their_order_of_arrival)
{
    struct unacked u[4] = {
        {.rq = &first}, {.rq = &second}, {.rq = &third}, {.rq = &beside}};
    struct unacked_table t;

    unacked_init(&t);
    for (int i = 0; i < 4; i++) {
        unacked_arrive(&t, &u[i]);
    }
    for (int i = 3; i >= 0; i--) {
        ck_assert(!unacked_has_to_follow(&t, &u[0])); /* whoever is doubted first */
        unacked_doubt(&t, &u[i]);
    }
    ck_assert(!unacked_has_to_follow(&t, &u[0]));
    ck_assert(unacked_has_to_follow(&t, &u[1]));
    ck_assert(unacked_has_to_follow(&t, &u[2]));
    ck_assert(!unacked_has_to_follow(&t, &u[3]));
    ck_assert(unacked_depart(&t, &u[0]));
    ck_assert(!unacked_has_to_follow(&t, &u[1]));
    ck_assert(unacked_has_to_follow(&t, &u[2]));
    ck_assert(unacked_depart(&t, &u[1]));
    ck_assert(!unacked_has_to_follow(&t, &u[2]));
}
END_TEST

START_TEST(newer_reads_and_reads_before_them_follow_only_the_doubtful)
{
    struct unacked read = {.rq = &third}, write = {.rq = &second},
                   again = {.rq = &third};
    struct unacked_table t;

    unacked_init(&t);
    unacked_arrive(&t, &read);
    unacked_arrive(&t, &write);
    unacked_arrive(&t, &again);
    ck_assert(!unacked_has_to_follow(&t, &write));
    ck_assert(!unacked_has_to_follow(&t, &again));
    unacked_doubt(&t, &read);
    ck_assert(unacked_has_to_follow(&t, &write));
    unacked_depart(&t, &read);
    ck_assert(!unacked_has_to_follow(&t, &write));
    unacked_doubt(&t, &write);
    ck_assert(unacked_has_to_follow(&t, &again));
}
END_TEST

START_TEST(changes_that_overlap_go_one_after_the_other_and_nobody_else_waits)
{
    struct unacked u[3] = {{.rq = &first}, {.rq = &second}, {.rq = &beside}};
    struct unacked_table t;

    unacked_init(&t);
    for (int i = 0; i < 3; i++) {
        unacked_arrive(&t, &u[i]);
    }
    ck_assert(!unacked_has_to_follow(&t, &u[0]));
    ck_assert(!unacked_has_to_follow(&t, &u[2]));
    ck_assert(!unacked_depart(&t, &u[2])); /* nobody waits for anybody */
    ck_assert(unacked_has_to_follow(&t, &u[1]));
    ck_assert(unacked_depart(&t, &u[0]));
    ck_assert(!unacked_has_to_follow(&t, &u[1]));
    ck_assert_uint_lt(u[0].arrival, u[1].arrival);
}
END_TEST

SUITE("unacked") = {
    CASE("unacked"),
    TEST(doubtful_requests_that_conflict_go_in_their_order_of_arrival),
    TEST(newer_reads_and_reads_before_them_follow_only_the_doubtful),
    TEST(changes_that_overlap_go_one_after_the_other_and_nobody_else_waits),
};
