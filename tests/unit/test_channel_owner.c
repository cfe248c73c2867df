/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "channel_owner.h"
#include "suite.h"

START_TEST(statement_is_read_as_it_was_written)
{
    const struct channel_owner o = {
        .instance = "a.1", .epoch = UINT64_MAX, .flushed_by = "b-2"};
    struct channel_owner found;
    char buf[CHANNEL_OWNER_MAX];

    ck_assert_int_eq(channel_owner_format(&o, buf), (int)strlen(buf));
    ck_assert_str_eq(
        buf, "baton-owner;instance=a.1;epoch=18446744073709551615;flushed-by=b-2");
    ck_assert_int_eq(channel_owner_parse(buf, &found), 0);
    ck_assert_str_eq(found.instance, "a.1");
    ck_assert_str_eq(found.flushed_by, "b-2");
    ck_assert(found.epoch == UINT64_MAX);
}
END_TEST

START_TEST(nobody_has_flushed)
{
    const struct channel_owner o = {.instance = "a", .epoch = 1};
    struct channel_owner found;
    char buf[CHANNEL_OWNER_MAX];

    channel_owner_format(&o, buf);
    ck_assert_str_eq(buf, "baton-owner;instance=a;epoch=1;flushed-by=-");
    ck_assert_int_eq(channel_owner_parse(buf, &found), 0);
    ck_assert_str_eq(found.flushed_by, "");
}
END_TEST

static const char *const bad[] = {
    "",
    "baton-owner;",
    "baton-owner;instance=a;epoch=1",
    "baton-owner;instance=;epoch=1;flushed-by=-",
    "baton-owner;instance=-;epoch=1;flushed-by=-",
    "baton-owner;instance=a b;epoch=1;flushed-by=-",
    "baton-owner;instance=a;epoch=;flushed-by=-",
    "baton-owner;instance=a;epoch=01;flushed-by=-",
    "baton-owner;instance=a;epoch=-1;flushed-by=-",
    "baton-owner;instance=a;epoch=18446744073709551616;flushed-by=-",
    "baton-owner;instance=a;epoch=1;flushed-by=",
    "baton-owner;instance=a;epoch=1;flushed-by=-;",
    "baton-owner;instance=a;epoch=1;flushed-by=- ",
    "Baton-owner;instance=a;epoch=1;flushed-by=-",
    "baton-owner;epoch=1;instance=a;flushed-by=-",
};

START_TEST(malformed_statement_is_refused)
{
    struct channel_owner found = {.epoch = 9};

    ck_assert_int_eq(channel_owner_parse(bad[_i], &found), -EINVAL);
    ck_assert_uint_eq(found.epoch, 9);
}
END_TEST

START_TEST(instance_has_a_limit)
{
    char text[CHANNEL_INSTANCE_MAX + 1];

    memset(text, 'x', sizeof text);
    text[CHANNEL_INSTANCE_MAX] = '\0';
    ck_assert(!channel_instance_is_valid(text));
    text[CHANNEL_INSTANCE_MAX - 1] = '\0';
    ck_assert(channel_instance_is_valid(text));
    ck_assert(!channel_instance_is_valid("-"));
}
END_TEST

SUITE("channel_owner") = {
    CASE("channel_owner"),      TEST(statement_is_read_as_it_was_written),
    TEST(nobody_has_flushed),   EACH(malformed_statement_is_refused, bad),
    TEST(instance_has_a_limit),
};
