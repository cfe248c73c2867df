/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <check.h>

#include "name.h"
#include "suite.h"

START_TEST(names_are_short_and_plain)
{
    static const char *const good[] = {"a", "0", "vda", "A.b_c-9", "a.."};
    static const char *const bad[] = {"",    ".",   "..",  "-a",       "_a",
                                      "a/b", "a b", "a\n", "\xc3\xa4", "a:"};
    char s[NAME_MAX_LEN + 2];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(name_is_valid(good[i]), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(!name_is_valid(bad[i]), "%s", bad[i]);
    }
    memset(s, 'x', sizeof s);
    s[NAME_MAX_LEN + 1] = '\0';
    ck_assert(!name_is_valid(s));
    s[NAME_MAX_LEN] = '\0';
    ck_assert(name_is_valid(s));
}
END_TEST

START_TEST(uuids_are_36_characters_of_lower_case)
{
    static const char *const bad[] = {
        "",
        "0fe3a9c2-7a86-4c2f-9d0b-5f4f2a1d3e6",
        "0fe3a9c2-7a86-4c2f-9d0b-5f4f2a1d3e677",
        "0FE3A9C2-7a86-4c2f-9d0b-5f4f2a1d3e67",
        "0fe3a9c2a7a86-4c2f-9d0b-5f4f2a1d3e67",
        "0fe3a9c2-7a86-4c2f-9d0b-5f4f2a1d3-67",
        "0fe3a9c2-7a86-4c2f-9d0b-5f4f2a1d3g67",
    };

    ck_assert(uuid_is_valid("0fe3a9c2-7a86-4c2f-9d0b-5f4f2a1d3e67"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(!uuid_is_valid(bad[i]), "%s", bad[i]);
    }
}
END_TEST

SUITE("name") = {
    CASE("name"),
    TEST(names_are_short_and_plain),
    TEST(uuids_are_36_characters_of_lower_case),
};
