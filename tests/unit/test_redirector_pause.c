/* SPDX-License-Identifier: BSD-3-Clause */
/* A pause holds requests as a hold does, but ends by itself. */
#include <errno.h>

#include <check.h>

#include "redir_job.h"
#include "redir_rig.h"
#include "suite.h"

#define SHORT (20 * NS_PER_MS)

START_TEST(what_waits_in_a_pause_goes_on_when_its_time_is_over)
{
    struct rig g = rig_open(CLOCK_NEVER);
    uint64_t until_ns = clock_deadline_ns(SHORT);
    struct job *j;

    ck_assert_int_eq(redir_pause(g.r, until_ns), 0);
    j = job_write(g.r, 0, 'a');
    ck_assert_int_eq(job_end(j), 0);
    ck_assert_uint_ge(clock_now_ns(), until_ns);
    ck_assert_uint_eq(rig_status(&g).held, 1);
    ck_assert_int_eq(rig_byte(g.r, 0), 'a');
    rig_finish(&g);
}
END_TEST

START_TEST(a_pause_in_which_nobody_waits_is_over_for_who_comes_later)
{
    struct rig g = rig_open(CLOCK_NEVER);

    ck_assert_int_eq(redir_pause(g.r, clock_deadline_ns(SHORT)), 0);
    ck_assert_int_eq(rig_status(&g).state, REDIR_HOLDING);
    pass_time(SHORT);
    ck_assert_int_eq(rig_status(&g).state, REDIR_OPEN);
    ck_assert_int_eq(redir_pause(g.r, clock_deadline_ns(0)), 0);
    ck_assert_int_eq(rig_byte(g.r, 0), 0);
    rig_finish(&g);
}
END_TEST

START_TEST(overlapping_writes_keep_their_order_over_a_pause)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *first, *second;

    ck_assert_int_eq(redir_pause(g.r, soon()), 0);
    first = job_write(g.r, 0, 'a');
    wait_queued(g.r, 1);
    second = job_write(g.r, 0, 'b');
    wait_queued(g.r, 2);
    redir_end_pause(g.r);
    ck_assert_int_eq(job_end(second), 0);
    ck_assert_int_eq(job_end(first), 0);
    ck_assert_int_eq(rig_byte(g.r, 0), 'b');
    rig_finish(&g);
}
END_TEST

START_TEST(a_hold_makes_a_pause_last)
{
    /* Long enough for a busy machine to come to the hold before it ends. */
    const uint64_t end_ns = clock_deadline_ns(50 * SHORT);
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *j;

    ck_assert_int_eq(redir_pause(g.r, end_ns), 0);
    j = job_write(g.r, 0, 'a');
    wait_queued(g.r, 1);
    ck_assert_int_eq(redir_hold(g.r), 0);
    redir_end_pause(g.r); /* too late: somebody relies on the hold */
    ck_assert_int_eq(redir_wait_open(g.r, end_ns + SHORT), -ETIMEDOUT);
    ck_assert_uint_eq(rig_status(&g).queued, 1);
    ck_assert_int_eq(redir_hold(g.r), -EBUSY);
    ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    ck_assert_int_eq(redir_check_ledger(g.r, NULL), 0);
    rig_swap(&g, rig_port(RIG_SIZE), REDIR_LOCAL);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(job_end(j), 0);
    ck_assert_int_eq(rig_byte(g.r, 0), 'a');
    rig_finish(&g);
}
END_TEST

START_TEST(a_pause_is_no_hold)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct port *old;

    redir_end_pause(g.r); /* there is none */
    ck_assert_int_eq(rig_status(&g).state, REDIR_OPEN);
    ck_assert_int_eq(redir_pause(g.r, soon()), 0);
    ck_assert_int_eq(redir_pause(g.r, soon()), -EBUSY);
    ck_assert_int_eq(redir_drain(g.r, soon()), -EBUSY);
    ck_assert_int_eq(redir_swap(g.r, NULL, REDIR_LOCAL, NULL, &old), -EBUSY);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(redir_hold(g.r), 0);
    ck_assert_int_eq(redir_pause(g.r, soon()), -EBUSY);
    redir_end_pause(g.r);
    ck_assert_int_eq(rig_status(&g).state, REDIR_HOLDING);
    ck_assert_int_eq(redir_release(g.r), 0);
    rig_finish(&g);
}
END_TEST

START_TEST(a_pause_is_awaited_until_nothing_is_in_flight)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *at_port, *queued;

    port_fault_hold(g.a, "w", REQ_WRITE, 0);
    at_port = job_write(g.r, 0, 'a');
    ck_assert_int_eq(port_fault_wait_held(g.a, "w", soon()), 0);
    ck_assert_int_eq(redir_pause(g.r, clock_deadline_ns(3600 * NS_PER_S)), 0);
    queued = job_write(g.r, 1, 'b');
    wait_queued(g.r, 1);
    ck_assert_int_eq(redir_await_pause(g.r, clock_deadline_ns(SHORT)), -ETIMEDOUT);
    port_fault_release(g.a, "w", 0);
    ck_assert_int_eq(redir_await_pause(g.r, soon()), 0);
    ck_assert_int_eq(job_end(at_port), 0);
    ck_assert_uint_eq(rig_status(&g).queued, 1);
    redir_end_pause(g.r);
    ck_assert_int_eq(redir_await_pause(g.r, soon()), -ETIMEDOUT);
    ck_assert_int_eq(job_end(queued), 0);
    rig_finish(&g);
}
END_TEST

START_TEST(fail_after_counts_in_a_pause)
{
    struct rig g = rig_open(SHORT);
    struct job *j;

    ck_assert_int_eq(redir_pause(g.r, clock_deadline_ns(3600 * NS_PER_S)), 0);
    j = job_write(g.r, 0, 'a');
    ck_assert_int_eq(job_end(j), -EIO);
    redir_end_pause(g.r);
    expect_ledger(g.r, 0, 0, 1, 0, 0);
    rig_finish(&g);
}
END_TEST

SUITE("redirector pause") = {
    CASE("pause"),
    TEST(what_waits_in_a_pause_goes_on_when_its_time_is_over),
    TEST(a_pause_in_which_nobody_waits_is_over_for_who_comes_later),
    TEST(overlapping_writes_keep_their_order_over_a_pause),
    TEST(a_hold_makes_a_pause_last),
    TEST(a_pause_is_no_hold),
    TEST(a_pause_is_awaited_until_nothing_is_in_flight),
    TEST(fail_after_counts_in_a_pause),
};
