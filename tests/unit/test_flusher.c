/* SPDX-License-Identifier: BSD-3-Clause */
/* A flush that somebody waits for only until a deadline. */
#include <errno.h>

#include <check.h>

#include "clock.h"
#include "flusher.h"
#include "port_fault.h"
#include "port_mem.h"
#include "suite.h"

#define SOON (clock_deadline_ns(20 * NS_PER_S))
#define PASSED 1 /* a deadline long ago */

static struct port *fault;
static struct flusher flusher;

static void
set_up(void)
{
    struct port *mem;

    ck_assert_int_eq(port_mem_new(65536, &mem), 0);
    ck_assert_int_eq(port_fault_new(mem, &fault), 0);
    flusher_init(&flusher);
}

static void
tear_down(void)
{
    flusher_done(&flusher);
    port_close(fault);
}

START_TEST(a_flush_ends_with_what_the_port_says)
{
    ck_assert_int_eq(flusher_start(&flusher, fault, URGENCY_CONTROL, SOON), 0);
    ck_assert_int_eq(flusher_wait(&flusher, SOON), 0);
    port_fault_fail_nth(fault, 1, -EIO, false);
    ck_assert_int_eq(flusher_start(&flusher, fault, URGENCY_CONTROL, SOON), 0);
    ck_assert_int_eq(flusher_wait(&flusher, SOON), -EIO);
}
END_TEST

START_TEST(whoever_gives_up_leaves_the_flush_to_the_next_who_waits)
{
    port_fault_hold(fault, "stuck", REQ_FLUSH, 0);
    ck_assert_int_eq(flusher_start(&flusher, fault, URGENCY_CONTROL, SOON), 0);
    ck_assert_int_eq(port_fault_wait_held(fault, "stuck", SOON), 0);
    ck_assert_int_eq(flusher_wait(&flusher, PASSED), -ETIMEDOUT);
    ck_assert_int_eq(flusher_start(&flusher, fault, URGENCY_CONTROL, PASSED),
                     -ETIMEDOUT);
    port_fault_release(fault, "stuck", -ENOSPC);
    ck_assert_int_eq(flusher_wait(&flusher, SOON), -ENOSPC);
    ck_assert_int_eq(flusher_start(&flusher, fault, URGENCY_CONTROL, SOON), 0);
    ck_assert_int_eq(flusher_wait(&flusher, SOON), 0);
}
END_TEST

SUITE("flusher") = {
    CASE("flusher", .setup = set_up, .teardown = tear_down),
    TEST(a_flush_ends_with_what_the_port_says),
    TEST(whoever_gives_up_leaves_the_flush_to_the_next_who_waits),
};
