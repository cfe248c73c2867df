/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include <check.h>

#include "loss.h"
#include "port.h"
#include "suite.h"

static struct loss loss;
static uint64_t vm, session; /* two that are there */

static void
begin(void)
{
    loss_init(&loss);
    vm = req_new_requester();
    session = req_new_requester();
}

START_TEST(each_requester_is_told_once)
{
    begin();
    ck_assert_int_eq(loss_tell(&loss, vm), 0);
    loss_note(&loss, -ENOSPC);
    ck_assert_int_eq(loss_tell(&loss, session), -ENOSPC);
    ck_assert_int_eq(loss_tell(&loss, session), 0);
    ck_assert_int_eq(loss_tell(&loss, vm), -ENOSPC);
    ck_assert_int_eq(loss_tell(&loss, vm), 0);
    loss_note(&loss, -EIO);
    ck_assert_int_eq(loss_tell(&loss, vm), -EIO);
    ck_assert_int_eq(loss_tell(&loss, session), -EIO);
    loss_done(&loss);
}
END_TEST

START_TEST(a_flush_of_ours_fails_until_somebody_was_told)
{
    begin();
    ck_assert_int_eq(loss_tell(&loss, REQ_OF_OURS), 0);
    loss_note(&loss, -EIO);
    ck_assert_int_eq(loss_tell(&loss, REQ_OF_OURS), -EIO);
    ck_assert_int_eq(loss_tell(&loss, REQ_OF_OURS), -EIO);
    ck_assert_int_eq(loss_tell(&loss, session), -EIO);
    ck_assert_int_eq(loss_tell(&loss, REQ_OF_OURS), 0);
    loss_done(&loss);
}
END_TEST

START_TEST(whoever_came_later_is_told_if_nobody_was)
{
    begin();
    loss_note(&loss, -EIO);
    ck_assert_int_eq(loss_tell(&loss, req_new_requester()), -EIO);
    ck_assert_int_eq(loss_tell(&loss, req_new_requester()), 0);
    ck_assert_int_eq(loss_tell(&loss, vm), -EIO);
    loss_done(&loss);
}
END_TEST

START_TEST(more_requesters_than_there_is_room_for_are_told_again_not_never)
{
    uint64_t all[2 * LOSS_MAX_TOLD];

    begin();
    for (unsigned i = 0; i < 2 * LOSS_MAX_TOLD; i++) {
        all[i] = req_new_requester();
    }
    loss_note(&loss, -EIO);
    for (unsigned i = 0; i < 2 * LOSS_MAX_TOLD; i++) {
        ck_assert_int_eq(loss_tell(&loss, all[i]), -EIO);
    }
    ck_assert_int_eq(loss_tell(&loss, all[2 * LOSS_MAX_TOLD - 1]), 0);
    ck_assert_int_eq(loss_tell(&loss, all[0]), -EIO);
    loss_done(&loss);
}
END_TEST

SUITE("loss") = {
    CASE("loss"),
    TEST(each_requester_is_told_once),
    TEST(a_flush_of_ours_fails_until_somebody_was_told),
    TEST(whoever_came_later_is_told_if_nobody_was),
    TEST(more_requesters_than_there_is_room_for_are_told_again_not_never),
};
