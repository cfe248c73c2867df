/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include <check.h>

#include "suite.h"
#include "unflushed.h"

static struct unflushed_table t;
static char data[512];
static const struct channel_owner m1 = {.instance = "m1", .epoch = 2};

static void
add(uint64_t off)
{
    const struct req rq = {
        .op = REQ_WRITE, .flags = REQ_F_FUA, .off = off, .len = 512, .buf = data};
    struct unflushed_change *k = unflushed_copy(&rq);

    ck_assert_ptr_nonnull(k);
    unflushed_add(&t, k);
}

/* A table with two changes that m1 has acknowledged. */
static void
set_up(void)
{
    unflushed_init(&t, 4096);
    unflushed_meet(&t, &m1);
    add(0);
    add(512);
}

static unsigned
nr_lost(void)
{
    unsigned n = 0;

    for (struct unflushed_change *k = NULL; (k = unflushed_next_lost(&t, k)) != NULL;
         n++) {
    }
    return n;
}

static void
meet(const char *instance, uint64_t epoch, const char *flushed_by)
{
    struct channel_owner o = {.epoch = epoch};

    (void)snprintf(o.instance, sizeof o.instance, "%s", instance);
    (void)snprintf(o.flushed_by, sizeof o.flushed_by, "%s", flushed_by);
    unflushed_meet(&t, &o);
}

START_TEST(copy_is_of_the_data_and_has_time)
{
    struct req rq = {
        .op = REQ_WRITE, .flags = REQ_F_FUA, .len = 512, .buf = data, .deadline_ns = 1};
    struct unflushed_change *k;

    unflushed_init(&t, 4096);
    memset(data, 'x', sizeof data);
    k = unflushed_copy(&rq);
    memset(data, 'y', sizeof data);
    ck_assert_int_eq(*(char *)k->rq.buf, 'x');
    ck_assert_uint_eq(k->rq.flags, REQ_F_FUA);
    ck_assert_uint_eq(k->rq.deadline_ns, 0);
    unflushed_add(&t, k);
    rq = (struct req){.op = REQ_ZERO, .flags = REQ_F_MAY_TRIM | REQ_F_FAST, .len = 512};
    k = unflushed_copy(&rq);
    ck_assert_uint_eq(k->rq.flags, REQ_F_MAY_TRIM);
    unflushed_add(&t, k);
    ck_assert_uint_eq(t.nr, 2);
    ck_assert_uint_eq(t.bytes, 512);
    unflushed_done(&t);
}
END_TEST

START_TEST(flush_forgets_only_what_was_there_when_it_began)
{
    uint64_t mark;

    set_up();
    mark = unflushed_mark(&t);
    add(1024);
    unflushed_flushed(&t, mark);
    ck_assert_uint_eq(t.nr, 1);
    ck_assert_uint_eq(t.bytes, 512);
    ck_assert_uint_eq(TAILQ_FIRST(&t.list)->rq.off, 1024);
    unflushed_done(&t);
    ck_assert_uint_eq(t.nr, 0);
}
END_TEST

START_TEST(another_instance_has_lost_everything_in_its_order)
{
    struct unflushed_change *k;

    set_up();
    meet("m2", 2, "");
    k = unflushed_next_lost(&t, NULL);
    ck_assert_uint_eq(k->rq.off, 0);
    k = unflushed_next_lost(&t, k);
    ck_assert_uint_eq(k->rq.off, 512);
    ck_assert_ptr_null(unflushed_next_lost(&t, k));
    unflushed_done(&t);
}
END_TEST

START_TEST(the_same_instance_has_lost_nothing)
{
    set_up();
    meet("m1", 7, "");
    ck_assert_uint_eq(nr_lost(), 0);
    ck_assert_uint_eq(t.nr, 2);
    unflushed_done(&t);
}
END_TEST

START_TEST(who_says_nothing_of_itself_is_another_each_time)
{
    set_up();
    meet("", 2, "");
    ck_assert_uint_eq(nr_lost(), 2);
    unflushed_next_lost(&t, NULL)->is_lost = false; /* was sent again */
    meet("", 2, "");
    ck_assert_uint_eq(nr_lost(), 2);
    unflushed_done(&t);
}
END_TEST

START_TEST(what_the_giver_has_flushed_is_forgotten)
{
    set_up();
    meet("m2", 3, "m1");
    ck_assert_uint_eq(t.nr, 0);
    unflushed_done(&t);
}
END_TEST

/* m1 died; its successor m1b, to which nothing was sent, flushed nothing of ours. */
START_TEST(flush_of_somebody_else_covers_nothing)
{
    set_up();
    meet("m2", 3, "m1b");
    ck_assert_uint_eq(nr_lost(), 2);
    unflushed_done(&t);
    set_up();
    meet("m2", 2, "m1"); /* not after our epoch */
    ck_assert_uint_eq(nr_lost(), 2);
    unflushed_done(&t);
}
END_TEST

START_TEST(what_is_lost_stays_so_until_it_is_sent_again)
{
    set_up();
    meet("m2", 2, "");
    unflushed_next_lost(&t, NULL)->is_lost =
        false; /* the first one was sent, then m2 gave */
    meet("m3", 3, "m2");
    ck_assert_uint_eq(t.nr, 1); /* what m2 had was flushed, it never had the second */
    ck_assert_uint_eq(nr_lost(), 1);
    ck_assert_uint_eq(unflushed_next_lost(&t, NULL)->rq.off, 512);
    unflushed_done(&t);
}
END_TEST

/* It may be told once of what it has lost, and the giver was told before. */
START_TEST(no_flush_of_the_giver_is_believed_after_one_that_failed)
{
    set_up();
    unflushed_flush_failed(&t);
    meet("m1", 2, "");
    meet("m2", 3, "m1");
    ck_assert_uint_eq(nr_lost(), 2);
    unflushed_done(&t);
    set_up();
    unflushed_flush_failed(&t);
    unflushed_flushed(&t, 0); /* before both */
    meet("m2", 3, "m1");
    ck_assert_uint_eq(t.nr, 0);
    unflushed_done(&t);
}
END_TEST

START_TEST(table_says_when_it_is_half_full_and_full)
{
    set_up();
    for (unsigned i = 2; i < 8; i++) {
        ck_assert_int_eq(unflushed_is_half_full(&t), i >= 4);
        ck_assert(!unflushed_is_full(&t));
        add(i * UINT64_C(512));
    }
    ck_assert(unflushed_is_full(&t));
    unflushed_done(&t);
}
END_TEST

SUITE("unflushed") = {
    CASE("unflushed"),
    TEST(copy_is_of_the_data_and_has_time),
    TEST(flush_forgets_only_what_was_there_when_it_began),
    TEST(another_instance_has_lost_everything_in_its_order),
    TEST(the_same_instance_has_lost_nothing),
    TEST(who_says_nothing_of_itself_is_another_each_time),
    TEST(what_the_giver_has_flushed_is_forgotten),
    TEST(flush_of_somebody_else_covers_nothing),
    TEST(what_is_lost_stays_so_until_it_is_sent_again),
    TEST(no_flush_of_the_giver_is_believed_after_one_that_failed),
    TEST(table_says_when_it_is_half_full_and_full),
};
