/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include <check.h>

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
        ck_assert(
            !unacked_has_to_follow(&t, &u[0], false)); /* whoever is doubted first */
        unacked_doubt(&t, &u[i]);
    }
    ck_assert(!unacked_has_to_follow(&t, &u[0], false));
    ck_assert(unacked_has_to_follow(&t, &u[1], false));
    ck_assert(unacked_has_to_follow(&t, &u[2], false));
    ck_assert(!unacked_has_to_follow(&t, &u[3], false));
    ck_assert(unacked_depart(&t, &u[0]));
    ck_assert(!unacked_has_to_follow(&t, &u[1], false));
    ck_assert(unacked_has_to_follow(&t, &u[2], false));
    ck_assert(unacked_depart(&t, &u[1]));
    ck_assert(!unacked_has_to_follow(&t, &u[2], false));
}
END_TEST

START_TEST(newer_requests_follow_only_the_doubtful)
{
    struct unacked old = {.rq = &first}, new = {.rq = &second};
    struct unacked_table t;

    unacked_init(&t);
    unacked_arrive(&t, &old);
    unacked_arrive(&t, &new);
    ck_assert(!unacked_has_to_follow(&t, &new, false));
    unacked_doubt(&t, &old);
    ck_assert(unacked_has_to_follow(&t, &new, false));
    unacked_depart(&t, &old);
    ck_assert(!unacked_has_to_follow(&t, &new, false));
}
END_TEST

START_TEST(in_order_all_that_conflict_follow_and_nobody_else)
{
    struct unacked u[3] = {{.rq = &first}, {.rq = &second}, {.rq = &beside}};
    struct unacked_table t;

    unacked_init(&t);
    for (int i = 0; i < 3; i++) {
        unacked_arrive(&t, &u[i]);
    }
    ck_assert(!unacked_has_to_follow(&t, &u[0], true));
    ck_assert(!unacked_has_to_follow(&t, &u[2], true));
    ck_assert(!unacked_depart(&t, &u[2])); /* nobody waits for anybody */
    ck_assert(unacked_has_to_follow(&t, &u[1], true));
    ck_assert(unacked_depart(&t, &u[0]));
    ck_assert(!unacked_has_to_follow(&t, &u[1], true));
    ck_assert_uint_lt(u[0].arrival, u[1].arrival);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("unacked");
    TCase *c = tcase_create("unacked");
    SRunner *r = srunner_create(s);
    int nr_failed;

    suite_add_tcase(s, c);
    tcase_add_test(c, doubtful_requests_that_conflict_go_in_their_order_of_arrival);
    tcase_add_test(c, newer_requests_follow_only_the_doubtful);
    tcase_add_test(c, in_order_all_that_conflict_follow_and_nobody_else);
    srunner_run_all(r, CK_NORMAL);
    nr_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return nr_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
