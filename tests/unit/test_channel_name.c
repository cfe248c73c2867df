/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "channel_name.h"
#include "suite.h"

#define UUID "0f3f1c9e-58a2-4f6e-9d4c-7a1f0f6b2c11"
#define MAX_U64 "18446744073709551615"
#define PROOF "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define RIGHT "0123456789abcdef0123456789abcdef"
#define CLIENT_63 "c23456789012345678901234567890123456789012345678901234567890123"

START_TEST(what_is_formatted_is_parsed_back)
{
    const struct channel_name n = {.uuid = UUID,
                                   .epoch = UINT64_MAX,
                                   .client = CLIENT_63,
                                   .session = 0,
                                   .proof = PROOF};
    struct channel_name back;
    char buf[CHANNEL_NAME_MAX];

    ck_assert_int_eq(channel_name_format(&n, buf), (int)strlen(buf));
    ck_assert_str_eq(buf, "baton-channel;uuid=" UUID ";epoch=" MAX_U64
                          ";client=" CLIENT_63 ";session=0;proof=" PROOF);
    ck_assert_int_eq(channel_name_parse(buf, &back), 0);
    ck_assert_str_eq(back.uuid, n.uuid);
    ck_assert_uint_eq(back.epoch, n.epoch);
    ck_assert_str_eq(back.client, n.client);
    ck_assert_uint_eq(back.session, n.session);
    ck_assert_str_eq(back.proof, n.proof);
}
END_TEST

static const char *const refused[] = {
    "",
    "disk",
    "baton-channel;",
    "baton-channel;uuid=" UUID ";epoch=1;client=c",
    "baton-channel;uuid=" UUID ";epoch=1;client=c;session=;proof=" PROOF,
    "baton-channel;uuid=" UUID ";epoch=1;client=c;session=1",
    "baton-channel;uuid=" UUID ";epoch=1;client=c;session=1;proof=",
    "baton-channel;uuid=" UUID ";epoch=1;client=c;session=1;proof=" RIGHT,
    "baton-channel;uuid=" UUID ";epoch=1;client=c;session=1;proof=" PROOF "0",
    "baton-channel;uuid=" UUID ";epoch=1;client=c;session=1;proof=" PROOF ";",
    "baton-channel;uuid=" UUID ";epoch=1;client=c;session=1;;proof=" PROOF,
    "baton-channel;uuid=" UUID ";epoch=1;client=c;session=1 ;proof=" PROOF,
    "baton-channel;uuid=" UUID ";epoch=01;client=c;session=1;proof=" PROOF,
    "baton-channel;uuid=" UUID ";epoch=+1;client=c;session=1;proof=" PROOF,
    "baton-channel;uuid=" UUID ";epoch=-1;client=c;session=1;proof=" PROOF,
    "baton-channel;uuid=" UUID ";epoch=1x;client=c;session=1;proof=" PROOF,
    "baton-channel;uuid=" UUID
    ";epoch=18446744073709551616;client=c;session=1;proof=" PROOF,
    "baton-channel;uuid=" UUID ";epoch=1;client=;session=1;proof=" PROOF,
    "baton-channel;uuid=" UUID ";epoch=1;client=a b;session=1;proof=" PROOF,
    "baton-channel;uuid=" UUID ";epoch=1;client=a;b;session=1;proof=" PROOF,
    "baton-channel;uuid=" UUID ";epoch=1;client=" CLIENT_63 "4;session=1;proof=" PROOF,
    "baton-channel;uuid=0F3F1C9E-58A2-4F6E-9D4C-7A1F0F6B2C11;epoch=1;client=c;session="
    "1;proof=" PROOF,
    "baton-channel;uuid=0f3f1c9e58a24f6e9d4c7a1f0f6b2c11;epoch=1;client=c;session=1;"
    "proof=" PROOF,
    "baton-channel;uuid=" UUID "0;epoch=1;client=c;session=1;proof=" PROOF,
    "baton-channel;epoch=1;uuid=" UUID ";client=c;session=1;proof=" PROOF,
};
#define NR_REFUSED ((int)(sizeof refused / sizeof refused[0]))

START_TEST(anything_but_the_exact_form_is_refused_and_changes_nothing)
{
    struct channel_name n = {.epoch = 77};

    ck_assert_int_eq(channel_name_parse(refused[_i], &n), -EINVAL);
    ck_assert_uint_eq(n.epoch, 77);
}
END_TEST

/* With the right nothing but what was proved is, without it nothing. */
START_TEST(a_name_proves_its_right_and_no_other_name_with_it)
{
    struct channel_name n = {.uuid = UUID, .epoch = 7, .client = "c", .session = 1};
    struct channel_name other;

    channel_name_prove(&n, RIGHT);
    /* As openssl dgst -sha256 -hmac RIGHT computes it. */
    ck_assert_str_eq(
        n.proof, "ae9f69ff82df129cbc32de1e388998dcaf9d6d064480d827fce841a352c12474");
    ck_assert(channel_name_is_proved(&n, RIGHT));
    ck_assert(!channel_name_is_proved(&n, "0123456789abcdef0123456789abcdee"));
    other = n;
    other.session++;
    ck_assert(!channel_name_is_proved(&other, RIGHT));
    other = n;
    other.epoch++;
    ck_assert(!channel_name_is_proved(&other, RIGHT));
    other = n;
    other.client[0] = 'd';
    ck_assert(!channel_name_is_proved(&other, RIGHT));
    other = n;
    other.proof[63] = other.proof[63] == '0' ? '1' : '0';
    ck_assert(!channel_name_is_proved(&other, RIGHT));
}
END_TEST

START_TEST(rights_are_new_each_time)
{
    char one[CHANNEL_RIGHT_SIZE], two[CHANNEL_RIGHT_SIZE];

    channel_right_new(one);
    channel_right_new(two);
    ck_assert(channel_right_is_valid(one) && channel_right_is_valid(two));
    ck_assert_str_ne(one, two);
    ck_assert(!channel_right_is_valid(""));
    ck_assert(!channel_right_is_valid("0123456789ABCDEF0123456789abcdef"));
    ck_assert(!channel_right_is_valid(RIGHT "0"));
}
END_TEST

START_TEST(a_proof_is_not_shown)
{
    static const char name[] =
        "baton-channel;uuid=u;epoch=1;client=c;session=2;proof=3";

    ck_assert_int_eq(channel_name_shown(name),
                     (int)strlen(name) - (int)strlen(";proof=3"));
    ck_assert_int_eq(channel_name_shown("own device"), 10);
}
END_TEST

SUITE("channel_name") = {
    CASE("channel_name"),
    TEST(what_is_formatted_is_parsed_back),
    TEST(a_name_proves_its_right_and_no_other_name_with_it),
    TEST(rights_are_new_each_time),
    TEST(a_proof_is_not_shown),
    LOOP(anything_but_the_exact_form_is_refused_and_changes_nothing, NR_REFUSED),
};
