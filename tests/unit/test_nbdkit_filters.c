/* SPDX-License-Identifier: BSD-3-Clause */
/* Which filters make a service no next owner. */

#include <check.h>

#include "nbdkit_filters.h"
#include "suite.h"

static const struct row {
    const char *cmdline; /* with a NUL after each argument, the last one's is implied */
    size_t len;
    const char *expected;
} rows[] = {
#define ROW(s, e)                                                                      \
    {                                                                                  \
        s, sizeof(s), e                                                                \
    }
    ROW("nbdkit\0-f\0baton.so\0name=a", ""),
    ROW("nbdkit\0--filter=log\0--filter=rate\0baton.so", ""),
    ROW("nbdkit\0--filter=log\0--filter=partition\0baton.so", "partition"),
    ROW("nbdkit\0--filter\0cow\0baton.so", "cow"),
    ROW("nbdkit\0--filter\0log\0baton.so", ""),
    ROW("nbdkit\0--filter", ""),
    ROW("nbdkit\0--filter=/some/where/nbdkit-log-filter.so",
        "/some/where/nbdkit-log-f"),
    ROW("", ""),
#undef ROW
};

START_TEST(a_filter_is_opaque_unless_known_to_change_nothing)
{
    char name[25];

    nbdkit_filters_find_opaque(rows[_i].cmdline, rows[_i].len, name, sizeof name);
    ck_assert_str_eq(name, rows[_i].expected);
}
END_TEST

START_TEST(this_process_has_none)
{
    char name[25] = "x";

    nbdkit_filters_of_this_process(name, sizeof name);
    ck_assert_str_eq(name, "");
}
END_TEST

SUITE("filters") = {
    CASE("filters"),
    EACH(a_filter_is_opaque_unless_known_to_change_nothing, rows),
    TEST(this_process_has_none),
};
