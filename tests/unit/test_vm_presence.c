/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <check.h>

#include "suite.h"
#include "vm_presence.h"

#define UUID "11111111-2222-3333-4444-555555555555"
#define OTHER_UUID "66666666-2222-3333-4444-555555555555"

static struct vm_presence guests;

static void
set_up(void)
{
    vm_presence_init(&guests);
}

static void
tear_down(void)
{
    vm_presence_done(&guests);
}

START_TEST(a_connection_that_only_reads_is_no_writer)
{
    struct guest g;

    guest_enter(&guests, &g);
    guest_submits(&g, REQ_READ);
    guest_submits(&g, REQ_FLUSH);
    ck_assert_uint_eq(vm_presence_look(&guests).nr, 1);
    ck_assert_uint_eq(vm_presence_look(&guests).nr_writers, 0);
    ck_assert(!vm_presence_look(&guests).has_run);
    guest_leave(&g);
    ck_assert_uint_eq(vm_presence_look(&guests).nr, 0);
}
END_TEST

START_TEST(a_writer_counts_once_and_until_it_leaves)
{
    static const enum req_op ops[] = {REQ_WRITE, REQ_ZERO, REQ_TRIM};
    struct guest g;

    guest_enter(&guests, &g);
    guest_submits(&g, ops[_i]);
    guest_submits(&g, REQ_WRITE);
    ck_assert_uint_eq(vm_presence_look(&guests).nr_writers, 1);
    guest_leave(&g);
    ck_assert_uint_eq(vm_presence_look(&guests).nr_writers, 0);
    ck_assert(vm_presence_look(&guests).has_run);
}
END_TEST

START_TEST(who_was_there_before_the_announcement_is_not_the_vm)
{
    struct guest before, after;

    guest_enter(&guests, &before);
    guest_submits(&before, REQ_WRITE);
    vm_presence_announce(&guests, UUID);
    ck_assert_str_eq(vm_presence_look(&guests).vm_uuid, UUID);
    ck_assert(!vm_presence_look(&guests).has_run);
    guest_submits(&before, REQ_WRITE);
    guest_enter(&guests, &after);
    guest_leave(&before);
    ck_assert_uint_eq(vm_presence_look(&guests).nr, 1);
    ck_assert_uint_eq(vm_presence_look(&guests).nr_writers, 0);
    guest_submits(&after, REQ_WRITE);
    ck_assert_uint_eq(vm_presence_look(&guests).nr_writers, 1);
    guest_leave(&after);
}
END_TEST

START_TEST(a_first_write_after_the_announcement_by_an_old_connection_does_not_count)
{
    struct guest before;

    guest_enter(&guests, &before);
    vm_presence_announce(&guests, UUID);
    guest_submits(&before, REQ_WRITE);
    ck_assert(!vm_presence_look(&guests).has_run);
    guest_leave(&before);
    ck_assert_uint_eq(vm_presence_look(&guests).nr, 0);
}
END_TEST

START_TEST(after_a_restart_the_vm_is_awaited_until_it_connects)
{
    struct guest g;

    vm_presence_restore(&guests, &(struct record_vm){.uuid = UUID});
    ck_assert_str_eq(vm_presence_look(&guests).vm_uuid, UUID);
    ck_assert(!vm_presence_look(&guests).has_run); /* for all we know now */
    ck_assert_uint_eq(vm_presence_look(&guests).nr, 0);
    ck_assert_uint_eq(vm_presence_present(&guests), 1);
    guest_enter(&guests, &g);
    ck_assert_uint_eq(vm_presence_present(&guests), 1);
    guest_leave(&g);
    ck_assert_uint_eq(vm_presence_present(&guests), 0);
}
END_TEST

START_TEST(a_vm_that_had_ended_before_the_restart_is_not_awaited)
{
    vm_presence_restore(&guests, &(struct record_vm){.uuid = UUID, .is_gone = true});
    ck_assert(vm_presence_look(&guests).is_gone);
    ck_assert_uint_eq(vm_presence_present(&guests), 0);
}
END_TEST

START_TEST(a_vm_ends_until_it_is_announced_again)
{
    vm_presence_announce(&guests, UUID);
    ck_assert(!vm_presence_end(&guests, OTHER_UUID)); /* that one is not here */
    ck_assert(!vm_presence_look(&guests).is_gone);
    ck_assert(vm_presence_end(&guests, UUID));
    ck_assert(vm_presence_look(&guests).is_gone);
    vm_presence_announce(&guests, UUID);
    ck_assert(!vm_presence_look(&guests).is_gone);
}
END_TEST

START_TEST(a_vm_that_was_never_announced_can_end)
{
    /* A disk that was plugged in while it ran. */
    ck_assert(vm_presence_end(&guests, UUID));
    ck_assert_str_eq(vm_presence_look(&guests).vm_uuid, UUID);
}
END_TEST

START_TEST(a_second_vm_that_writes_is_not_announced_while_the_first_is_here)
{
    bool is_announced;
    struct guest g;

    ck_assert(vm_presence_try_announce(&guests, UUID, false, false, &is_announced));
    ck_assert(is_announced);
    ck_assert(vm_presence_hold(&guests)); /* it has not opened it yet */
    ck_assert(
        !vm_presence_try_announce(&guests, OTHER_UUID, false, false, &is_announced));
    ck_assert(
        !vm_presence_try_announce(&guests, OTHER_UUID, false, true, &is_announced));
    ck_assert(vm_presence_try_announce(&guests, UUID, false, false, &is_announced));
    guest_enter(&guests, &g);
    ck_assert(
        !vm_presence_try_announce(&guests, OTHER_UUID, false, false, &is_announced));
    guest_leave(&g); /* as when it has crashed and nobody says so */
    ck_assert(!vm_presence_hold(&guests));
    ck_assert(
        vm_presence_try_announce(&guests, OTHER_UUID, false, false, &is_announced));
    ck_assert_str_eq(vm_presence_look(&guests).vm_uuid, OTHER_UUID);
}
END_TEST

START_TEST(readers_and_those_that_share_stand_in_no_ones_way)
{
    static const struct {
        bool was_reader, was_shared, is_reader, is_shared, is_announced;
    } cases[] = {
        {false, false, true, false, false}, /* the writer stays known */
        {true, false, false, false, true},
        {true, false, true, false, false},
        {false, true, false, true, false},
    };
    bool is_announced;

    ck_assert(vm_presence_try_announce(&guests, UUID, cases[_i].was_reader,
                                       cases[_i].was_shared, &is_announced));
    ck_assert(vm_presence_try_announce(&guests, OTHER_UUID, cases[_i].is_reader,
                                       cases[_i].is_shared, &is_announced));
    ck_assert_int_eq(is_announced, cases[_i].is_announced);
}
END_TEST

START_TEST(only_the_announcement_that_is_meant_is_forgotten)
{
    uint64_t generation;

    vm_presence_announce(&guests, UUID);
    generation = vm_presence_look(&guests).generation;
    vm_presence_announce(&guests, UUID);
    ck_assert(!vm_presence_forget(&guests, generation));
    ck_assert_str_eq(vm_presence_look(&guests).vm_uuid, UUID);
    ck_assert(vm_presence_forget(&guests, generation + 1));
    ck_assert_str_eq(vm_presence_look(&guests).vm_uuid, "");
}
END_TEST

SUITE("guests") = {
    CASE("guests", .setup = set_up, .teardown = tear_down),
    TEST(a_connection_that_only_reads_is_no_writer),
    LOOP(a_writer_counts_once_and_until_it_leaves, 3),
    TEST(who_was_there_before_the_announcement_is_not_the_vm),
    TEST(a_first_write_after_the_announcement_by_an_old_connection_does_not_count),
    TEST(after_a_restart_the_vm_is_awaited_until_it_connects),
    TEST(a_vm_that_had_ended_before_the_restart_is_not_awaited),
    TEST(a_vm_ends_until_it_is_announced_again),
    TEST(a_vm_that_was_never_announced_can_end),
    TEST(a_second_vm_that_writes_is_not_announced_while_the_first_is_here),
    LOOP(readers_and_those_that_share_stand_in_no_ones_way, 4),
    TEST(only_the_announcement_that_is_meant_is_forgotten),
};
