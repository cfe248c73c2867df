/* SPDX-License-Identifier: BSD-3-Clause */

#include <check.h>

#include "clock.h"
#include "load.h"
#include "suite.h"

START_TEST(what_is_under_way_ends_as_fast_as_others_did)
{
    const struct load before = {.at_ns = 10 * NS_PER_MS, .ended = 100, .in_flight = 9};
    const struct load now = {.at_ns = 20 * NS_PER_MS, .ended = 300, .in_flight = 32};

    ck_assert_uint_eq(load_drain_ns(&before, &now), 10 * NS_PER_MS * 32 / 200);
    ck_assert(load_has_requests(&before, &now));
}
END_TEST

START_TEST(what_does_not_end_takes_as_long_as_it_was_seen)
{
    const struct load before = {.at_ns = 10 * NS_PER_MS, .ended = 100, .in_flight = 2};
    const struct load now = {.at_ns = 510 * NS_PER_MS, .ended = 100, .in_flight = 1};

    ck_assert_uint_eq(load_drain_ns(&before, &now), 500 * NS_PER_MS);
    ck_assert(load_has_requests(&before, &now));
}
END_TEST

START_TEST(what_has_just_come_says_nothing)
{
    const struct load before = {.at_ns = 10 * NS_PER_MS, .ended = 100};
    const struct load now = {.at_ns = 510 * NS_PER_MS, .ended = 100, .in_flight = 1};

    ck_assert_uint_eq(load_drain_ns(&before, &now), 0);
    ck_assert(load_has_requests(&before, &now));
    ck_assert(!load_has_requests(&before, &before));
}
END_TEST

SUITE("pace") = {
    CASE("pace"),
    TEST(what_is_under_way_ends_as_fast_as_others_did),
    TEST(what_does_not_end_takes_as_long_as_it_was_seen),
    TEST(what_has_just_come_says_nothing),
};
