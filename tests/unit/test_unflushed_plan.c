/* SPDX-License-Identifier: BSD-3-Clause */
/* What is sent again: each byte once, and never an older one than is kept. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "suite.h"
#include "unflushed_plan.h"

#define SIZE 256

static struct unflushed_table t;
static unsigned seed;

static void
set_up(void)
{
    static const struct channel_owner m1 = {.instance = "m1", .epoch = 2};

    unflushed_init(&t, 1 << 20);
    unflushed_meet(&t, &m1);
}

static void
tear_down(void)
{
    unflushed_done(&t);
}

static struct unflushed_change *
add(enum req_op op, char byte, uint64_t off, uint32_t len)
{
    char data[SIZE];
    const struct req rq = {
        .op = op, .off = off, .len = len, .buf = op == REQ_WRITE ? data : NULL};
    struct unflushed_change *k;

    memset(data, byte, sizeof data);
    k = unflushed_copy(&rq);
    ck_assert_ptr_nonnull(k);
    unflushed_add(&t, k);
    k->is_lost = true;
    return k;
}

/* Perform a request on what the device holds. */
static void
perform(char *device, const struct req *rq)
{
    if (rq->op == REQ_WRITE) {
        memcpy(device + rq->off, rq->buf, rq->len);
    } else {
        memset(device + rq->off, 0, rq->len);
    }
}

/* Plan, and perform the first nr pieces on it; nr of all pieces there were. */
static size_t
send_again(char *device, size_t most)
{
    struct unflushed_piece *pieces;
    size_t nr;

    ck_assert_int_eq(unflushed_plan(&t, &pieces, &nr), 0);
    for (size_t i = 0; i < nr && i < most; i++) {
        perform(device, &pieces[i].rq);
    }
    free(pieces);
    return nr;
}

START_TEST(nothing_kept_is_nothing_to_send)
{
    ck_assert_uint_eq(send_again(NULL, 0), 0);
}
END_TEST

START_TEST(older_change_that_is_covered_is_not_sent)
{
    char device[SIZE] = "";

    add(REQ_WRITE, 'a', 10, 10);
    add(REQ_WRITE, 'b', 5, 20);
    ck_assert_uint_eq(send_again(device, SIZE), 1);
    ck_assert_int_eq(device[10], 'b');
}
END_TEST

/* The newer one reaches the next owner, who flushes it and gives the disk on before all
 * is sent: the older one must not be sent to the third over it. */
START_TEST(older_change_that_is_covered_does_not_outlive_the_newer_one)
{
    static const struct channel_owner m2 = {.instance = "m2", .epoch = 3},
                                      m3 = {.instance = "m3",
                                            .epoch = 4,
                                            .flushed_by = "m2"};
    char device[SIZE] = "";
    struct unflushed_change *newer;

    add(REQ_WRITE, 'a', 10, 10);
    newer = add(REQ_WRITE, 'b', 5, 20);
    add(REQ_WRITE, 'c', 100, 10);
    unflushed_meet(&t, &m2);
    ck_assert_uint_eq(send_again(device, 1), 2);
    newer->is_lost = false;
    unflushed_meet(&t, &m3);
    ck_assert_uint_eq(send_again(device, SIZE), 1);
    ck_assert_int_eq(device[10], 'b');
    ck_assert_int_eq(device[100], 'c');
}
END_TEST

START_TEST(what_a_newer_one_leaves_of_an_older_one_is_sent)
{
    char device[SIZE];

    memset(device, '-', sizeof device);
    add(REQ_WRITE, 'a', 0, 100);
    add(REQ_ZERO, 0, 20, 10);
    add(REQ_TRIM, 0, 90, 20);
    ck_assert_uint_eq(send_again(device, SIZE), 4);
    ck_assert_int_eq(device[19], 'a');
    ck_assert_int_eq(device[20], 0);
    ck_assert_int_eq(device[30], 'a');
    ck_assert_int_eq(device[89], 'a');
    ck_assert_int_eq(device[90], 0);
    ck_assert_int_eq(device[110], '-');
}
END_TEST

/* The owner that is there now has acknowledged it itself. */
START_TEST(newer_change_that_is_not_lost_covers_an_older_one_and_is_not_sent)
{
    char device[SIZE];

    memset(device, 'b', sizeof device);
    add(REQ_WRITE, 'a', 0, 100);
    add(REQ_WRITE, 'b', 50, 100)->is_lost = false;
    ck_assert_uint_eq(send_again(device, SIZE), 1);
    ck_assert_int_eq(device[49], 'a');
    ck_assert_int_eq(device[50], 'b');
}
END_TEST

/* Random changes on a small device that has either lost all of them or none, byte for
 * byte at random. However many pieces were sent when we died, each byte is as it was or
 * as the last change left it; after all of them it is as the last change left it. */
START_TEST(at_each_piece_every_byte_is_what_it_was_or_the_newest)
{
    char newest[SIZE], was[SIZE], device[SIZE];
    size_t nr;

    seed = (unsigned)_i;
    memset(newest, '.', sizeof newest);
    for (int i = 0; i < 40; i++) {
        const uint64_t off = (uint64_t)rand_r(&seed) % (SIZE - 1);
        const uint32_t len = 1 + (uint32_t)rand_r(&seed) % (uint32_t)(SIZE - off);
        const enum req_op op = rand_r(&seed) % 4 > 0 ? REQ_WRITE : REQ_ZERO;

        perform(newest,
                &add(op, (char)('A' + i), off,
                     len % 60 + 1 > SIZE - off ? (uint32_t)(SIZE - off) : len % 60 + 1)
                     ->rq);
    }
    for (int i = 0; i < SIZE; i++) {
        was[i] = '.';
        if (rand_r(&seed) % 2 == 0) {
            was[i] = newest[i];
        }
    }
    nr = send_again(device, 0);
    for (size_t most = 0; most <= nr; most++) {
        memcpy(device, was, sizeof device);
        (void)send_again(device, most);
        for (int i = 0; i < SIZE; i++) {
            ck_assert_msg(device[i] == newest[i] || (most < nr && device[i] == was[i]),
                          "byte %d is '%c' after %zu of %zu pieces; was '%c', is to be "
                          "'%c'",
                          i, device[i], most, nr, was[i], newest[i]);
        }
    }
}
END_TEST

/* As many as are ever kept, each over the one before. */
START_TEST(tens_of_thousands_of_overlapping_changes_are_planned_at_once)
{
    const uint32_t nr = 65536;
    struct unflushed_piece *pieces;
    size_t nr_pieces;

    for (uint32_t i = 0; i < nr; i++) {
        add(i % 2 == 0 ? REQ_ZERO : REQ_TRIM, 0, (i * 7919U) % 100000U, 500);
    }
    ck_assert_int_eq(unflushed_plan(&t, &pieces, &nr_pieces), 0);
    ck_assert_uint_gt(nr_pieces, 0);
    free(pieces);
}
END_TEST

SUITE("unflushed_plan") = {
    CASE("unflushed_plan", .setup = set_up, .teardown = tear_down),
    TEST(nothing_kept_is_nothing_to_send),
    TEST(older_change_that_is_covered_is_not_sent),
    TEST(older_change_that_is_covered_does_not_outlive_the_newer_one),
    TEST(what_a_newer_one_leaves_of_an_older_one_is_sent),
    TEST(newer_change_that_is_not_lost_covers_an_older_one_and_is_not_sent),
    LOOP(at_each_piece_every_byte_is_what_it_was_or_the_newest, 50),
    TEST(tens_of_thousands_of_overlapping_changes_are_planned_at_once),
};
