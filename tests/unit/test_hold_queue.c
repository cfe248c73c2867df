/* SPDX-License-Identifier: BSD-3-Clause */
/* The order of held requests, without threads: the queue only marks entries. */

#include <check.h>

#include "hold_queue.h"
#include "suite.h"

#define NR 6

static struct hold_queue q;
static struct held e[NR];
static struct req rq[NR];

static void
setup(void)
{
    hold_queue_init(&q);
    for (int i = 0; i < NR; i++) {
        e[i] = (struct held){.rq = &rq[i], .since_ns = 100 + (uint64_t)i};
        cv_init(&e[i].woken);
    }
}

static void
teardown(void)
{
    for (int i = 0; i < NR; i++) {
        cv_done(&e[i].woken);
    }
}

/* Queue entry i: op on len bytes at off. */
static void
add(int i, enum req_op op, uint64_t off, uint32_t len)
{
    rq[i] = (struct req){.op = op, .off = off, .len = len};
    hold_queue_append(&q, &e[i]);
}

static void
add_late(int i, enum req_op op, uint64_t off, uint32_t len)
{
    e[i].is_late = true;
    add(i, op, off, len);
}

/* states: one letter an entry from 0 on, w(aiting) r(unning) b(ounced). */
static void
expect(const char *states)
{
    static const char letters[] = {
        [HELD_WAITING] = 'w', [HELD_RUNNING] = 'r', [HELD_BOUNCED] = 'b'};
    uint64_t nr_waiting = 0;

    for (int i = 0; states[i] != '\0'; i++) {
        ck_assert_msg(states[i] == '-' || letters[e[i].state] == states[i],
                      "entry %d is %c, not %c", i, letters[e[i].state], states[i]);
        nr_waiting += states[i] == 'w' ? 1 : 0;
    }
    ck_assert_uint_eq(q.nr_waiting, nr_waiting);
}

START_TEST(overlapping_entries_go_one_by_one_in_arrival_order)
{
    add(0, REQ_WRITE, 0, 100);
    add(1, REQ_WRITE, 50, 100);
    add(2, REQ_READ, 0, 100);
    hold_queue_dispatch(&q);
    expect("rww");
    hold_queue_remove(&q, &e[0], true);
    expect("-rw");
    hold_queue_remove(&q, &e[1], true);
    expect("--r");
    hold_queue_remove(&q, &e[2], true);
    ck_assert_uint_eq(q.nr_held, 0);
}
END_TEST

START_TEST(an_entry_waits_for_all_that_it_overlaps)
{
    add(0, REQ_WRITE, 0, 10);
    add(1, REQ_WRITE, 10, 10);
    add(2, REQ_WRITE, 5, 10);
    hold_queue_dispatch(&q);
    expect("rrw");
    hold_queue_remove(&q, &e[1], true);
    expect("r-w");
    hold_queue_remove(&q, &e[0], true);
    expect("--r");
}
END_TEST

START_TEST(disjoint_entries_and_reads_and_flushes_go_at_once)
{
    add(0, REQ_WRITE, 0, 10);
    add(1, REQ_WRITE, 10, 10);
    add(2, REQ_READ, 20, 10);
    add(3, REQ_READ, 25, 10);
    add(4, REQ_FLUSH, 0, 0);
    add(5, REQ_CACHE, 20, 10);
    hold_queue_dispatch(&q);
    expect("rrrrrr");
}
END_TEST

START_TEST(trim_and_zero_are_changes)
{
    add(0, REQ_TRIM, 0, 10);
    add(1, REQ_READ, 0, 10);
    add(2, REQ_ZERO, 20, 10);
    add(3, REQ_EXTENTS, 20, 10);
    hold_queue_dispatch(&q);
    expect("rwrw");
}
END_TEST

START_TEST(a_removal_wakes_nobody_while_not_replaying)
{
    add(0, REQ_WRITE, 0, 10);
    add(1, REQ_WRITE, 0, 10);
    hold_queue_dispatch(&q);
    hold_queue_remove(&q, &e[0], false);
    expect("-w");
    hold_queue_dispatch(&q);
    expect("-r");
}
END_TEST

START_TEST(late_entries_follow_only_what_was_held)
{
    add(0, REQ_WRITE, 0, 10);
    hold_queue_dispatch(&q);
    add_late(1, REQ_WRITE, 0, 20);
    add_late(2, REQ_WRITE, 10, 10); /* overlaps only a late one */
    ck_assert_uint_eq(q.nr_held, 1);
    ck_assert(!hold_queue_blocks(&q, &rq[2]));
    ck_assert(hold_queue_blocks(&q, &rq[1]));
    hold_queue_dispatch(&q);
    expect("rwr");
    hold_queue_remove(&q, &e[0], true);
    ck_assert_uint_eq(q.nr_held, 0);
    expect("-rr");
}
END_TEST

START_TEST(a_new_hold_makes_late_entries_held)
{
    add(0, REQ_WRITE, 0, 10);
    hold_queue_dispatch(&q);
    add_late(1, REQ_WRITE, 0, 10);
    hold_queue_rehold(&q);
    ck_assert_uint_eq(q.nr_held, 2);
    add(2, REQ_WRITE, 0, 10);
    hold_queue_remove(&q, &e[0], false);
    hold_queue_dispatch(&q);
    expect("-rw");
    hold_queue_remove(&q, &e[1], true);
    hold_queue_remove(&q, &e[2], true);
    ck_assert_uint_eq(q.nr_held, 0);
}
END_TEST

START_TEST(a_prepended_entry_goes_before_all)
{
    add(0, REQ_WRITE, 0, 10);
    rq[1] = (struct req){.op = REQ_WRITE, .off = 0, .len = 10};
    hold_queue_prepend(&q, &e[1]);
    hold_queue_dispatch(&q);
    expect("wr");
}
END_TEST

START_TEST(prepended_entries_go_in_the_order_that_they_bring)
{
    static const uint64_t recalled[] = {7, 9, 8};

    add(3, REQ_WRITE, 0, 10);
    for (unsigned i = 0; i < 3; i++) {
        rq[i] = (struct req){.op = REQ_WRITE, .off = 0, .len = 10};
        e[i].rq = &rq[i];
        e[i].recalled = recalled[i];
        hold_queue_prepend(&q, &e[i]);
    }
    ck_assert_ptr_eq(TAILQ_FIRST(&q.list), &e[0]);
    ck_assert_ptr_eq(TAILQ_NEXT(&e[0], link), &e[2]);
    ck_assert_ptr_eq(TAILQ_NEXT(&e[2], link), &e[1]);
    ck_assert_ptr_eq(TAILQ_NEXT(&e[1], link), &e[3]);
}
END_TEST

START_TEST(a_returned_entry_keeps_its_place)
{
    add(0, REQ_WRITE, 0, 10);
    add(1, REQ_WRITE, 0, 10);
    hold_queue_dispatch(&q);
    hold_queue_return(&q, &e[0]);
    expect("ww");
    hold_queue_dispatch(&q);
    expect("rw");
}
END_TEST

static bool
is_even(const struct held *h, const void *arg)
{
    (void)arg;
    return (h - e) % 2 == 0;
}

START_TEST(bounced_entries_block_nobody_and_running_ones_are_not_bounced)
{
    add(0, REQ_WRITE, 0, 10);
    hold_queue_dispatch(&q);
    add(1, REQ_WRITE, 20, 10);
    add(2, REQ_WRITE, 30, 10);
    add(3, REQ_WRITE, 30, 10);
    hold_queue_bounce(&q, is_even, NULL);
    expect("rwbw");
    ck_assert_uint_eq(q.nr_held, 4); /* until its thread has taken it out */
    hold_queue_dispatch(&q);
    expect("rrbr");
    hold_queue_remove(&q, &e[2], true);
    ck_assert_uint_eq(q.nr_held, 3);
}
END_TEST

START_TEST(a_waiting_entry_that_gives_up_lets_its_followers_go)
{
    add(0, REQ_WRITE, 0, 10);
    add(1, REQ_WRITE, 0, 20);
    add(2, REQ_WRITE, 10, 10);
    hold_queue_dispatch(&q);
    expect("rww");
    hold_queue_remove(&q, &e[1], true);
    expect("r-r");
}
END_TEST

START_TEST(only_waiting_entries_are_measured)
{
    uint64_t oldest, bytes;

    hold_queue_measure(&q, &oldest, &bytes);
    ck_assert_uint_eq(oldest, 0);
    ck_assert_uint_eq(bytes, 0);
    add(0, REQ_WRITE, 0, 10);
    hold_queue_dispatch(&q);
    add(1, REQ_WRITE, 0, 7);
    add(2, REQ_READ, 0, 5);
    add(3, REQ_TRIM, 0, 1000);
    hold_queue_measure(&q, &oldest, &bytes);
    ck_assert_uint_eq(oldest, 101);
    ck_assert_uint_eq(bytes, 12);
}
END_TEST

SUITE("hold_queue") = {
    CASE("order", .setup = setup, .teardown = teardown),
    TEST(overlapping_entries_go_one_by_one_in_arrival_order),
    TEST(an_entry_waits_for_all_that_it_overlaps),
    TEST(disjoint_entries_and_reads_and_flushes_go_at_once),
    TEST(trim_and_zero_are_changes),
    TEST(a_removal_wakes_nobody_while_not_replaying),
    TEST(late_entries_follow_only_what_was_held),
    TEST(a_new_hold_makes_late_entries_held),
    TEST(a_prepended_entry_goes_before_all),
    TEST(prepended_entries_go_in_the_order_that_they_bring),
    TEST(a_returned_entry_keeps_its_place),
    TEST(bounced_entries_block_nobody_and_running_ones_are_not_bounced),
    TEST(a_waiting_entry_that_gives_up_lets_its_followers_go),
    TEST(only_waiting_entries_are_measured),
};
