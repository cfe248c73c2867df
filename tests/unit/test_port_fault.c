/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>

#include <check.h>

#include "clock.h"
#include "port_fault.h"
#include "port_mem.h"
#include "suite.h"

static struct port *p; /* fault over 64 KiB of memory */
static char byte = 0x11;

static void
setup(void)
{
    struct port *mem = NULL;

    ck_assert_int_eq(port_mem_new(65536, &mem), 0);
    ck_assert_int_eq(port_fault_new(mem, &p), 0);
}

static void
teardown(void)
{
    port_close(p);
}

static int
write_at(uint64_t off)
{
    const struct req rq = {.op = REQ_WRITE, .off = off, .len = 1, .buf = &byte};

    return port_submit(p, &rq);
}

static char
read_at(uint64_t off)
{
    char c = 0x7f;
    const struct req rq = {.op = REQ_READ, .off = off, .len = 1, .buf = &c};

    ck_assert_int_eq(port_submit(p, &rq), 0);
    return c;
}

/* A request on its own thread. */
struct call {
    pthread_t thread;
    struct req rq;
    int rc;
};

static void *
run_call(void *arg)
{
    struct call *c = arg;

    c->rc = port_submit(p, &c->rq);
    return NULL;
}

static void
start_write(struct call *c, uint64_t off)
{
    *c = (struct call){.rq = {.op = REQ_WRITE, .off = off, .len = 1, .buf = &byte}};
    ck_assert_int_eq(pthread_create(&c->thread, NULL, run_call, c), 0);
}

static int
finish(struct call *c)
{
    ck_assert_int_eq(pthread_join(c->thread, NULL), 0);
    return c->rc;
}

static uint64_t
soon(void)
{
    return clock_deadline_ns(3 * NS_PER_S);
}

START_TEST(only_the_nth_request_fails)
{
    port_fault_fail_nth(p, 3, -ENOSPC, false);
    ck_assert_int_eq(write_at(0), 0);
    ck_assert_int_eq(write_at(1), 0);
    ck_assert(!port_fault_hit(p));
    ck_assert_int_eq(write_at(2), -ENOSPC);
    ck_assert(port_fault_hit(p));
    ck_assert_int_eq(write_at(3), 0);
    ck_assert_int_eq(read_at(2), 0); /* it did not reach the inner port */
}
END_TEST

START_TEST(every_request_from_the_nth_fails_for_ever)
{
    port_fault_fail_nth(p, 2, -EIO, true);
    ck_assert_int_eq(write_at(0), 0);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(write_at(1), -EIO);
    }
}
END_TEST

START_TEST(switching_faults_off_forgets_the_hit)
{
    port_fault_fail_nth(p, 1, -EIO, true);
    ck_assert_int_eq(write_at(0), -EIO);
    port_fault_fail_nth(p, 0, 0, false);
    ck_assert_int_eq(write_at(0), 0);
    ck_assert(!port_fault_hit(p));
}
END_TEST

START_TEST(a_held_request_reaches_the_device_only_after_release)
{
    struct call c;

    port_fault_hold(p, "w1", REQ_WRITE, 7);
    start_write(&c, 7);
    ck_assert_int_eq(port_fault_wait_held(p, "w1", soon()), 0);
    ck_assert_int_eq(read_at(7), 0);  /* another operation passes */
    ck_assert_int_eq(write_at(8), 0); /* and another byte */
    port_fault_release(p, "w1", 0);
    ck_assert_int_eq(finish(&c), 0);
    ck_assert_int_eq(read_at(7), byte);
    ck_assert_int_eq(write_at(7), 0); /* later ones pass */
}
END_TEST

START_TEST(a_request_released_with_an_error_does_not_reach_the_device)
{
    struct call c;

    port_fault_hold(p, "w1", REQ_WRITE, 7);
    start_write(&c, 7);
    ck_assert_int_eq(port_fault_wait_held(p, "w1", soon()), 0);
    port_fault_release(p, "w1", -EIO);
    ck_assert_int_eq(finish(&c), -EIO);
    ck_assert_int_eq(read_at(7), 0);
}
END_TEST

START_TEST(tags_are_released_one_by_one)
{
    struct call c1, c2;

    port_fault_hold(p, "w1", REQ_WRITE, 1);
    port_fault_hold(p, "w2", REQ_WRITE, 2);
    start_write(&c1, 1);
    start_write(&c2, 2);
    ck_assert_int_eq(port_fault_wait_held(p, "w1", soon()), 0);
    ck_assert_int_eq(port_fault_wait_held(p, "w2", soon()), 0);
    port_fault_release(p, "w2", 0);
    ck_assert_int_eq(finish(&c2), 0);
    ck_assert_int_eq(read_at(1), 0);
    port_fault_release(p, "w1", 0);
    ck_assert_int_eq(finish(&c1), 0);
}
END_TEST

START_TEST(a_request_that_two_tags_hold_waits_for_both)
{
    struct call c;

    port_fault_hold(p, "a", REQ_WRITE, 1);
    port_fault_hold(p, "b", REQ_WRITE, 1);
    start_write(&c, 1);
    ck_assert_int_eq(port_fault_wait_held(p, "a", soon()), 0);
    port_fault_release(p, "a", 0);
    ck_assert_int_eq(port_fault_wait_held(p, "b", soon()), 0);
    ck_assert_int_eq(read_at(1), 0);
    port_fault_release(p, "b", 0);
    ck_assert_int_eq(finish(&c), 0);
}
END_TEST

START_TEST(a_tag_can_be_armed_again_without_catching_the_old_request)
{
    struct call c;

    port_fault_hold(p, "w1", REQ_WRITE, 1);
    start_write(&c, 1);
    ck_assert_int_eq(port_fault_wait_held(p, "w1", soon()), 0);
    port_fault_release(p, "w1", 0);
    port_fault_hold(p, "w1", REQ_WRITE, 1);
    ck_assert_int_eq(finish(&c), 0);
    start_write(&c, 1);
    ck_assert_int_eq(port_fault_wait_held(p, "w1", soon()), 0);
    port_fault_release(p, "w1", 0);
    ck_assert_int_eq(finish(&c), 0);
}
END_TEST

START_TEST(slots_of_released_tags_are_used_again)
{
    for (int i = 0; i < 100; i++) {
        port_fault_hold(p, "w1", REQ_WRITE, 1);
        port_fault_release(p, "w1", 0);
    }
    ck_assert_int_eq(write_at(1), 0);
}
END_TEST

START_TEST(a_flush_can_be_held)
{
    struct call c = {.rq = {.op = REQ_FLUSH}};

    port_fault_hold(p, "f", REQ_FLUSH, 0);
    ck_assert_int_eq(pthread_create(&c.thread, NULL, run_call, &c), 0);
    ck_assert_int_eq(port_fault_wait_held(p, "f", soon()), 0);
    port_fault_release(p, "f", 0);
    ck_assert_int_eq(finish(&c), 0);
}
END_TEST

START_TEST(waiting_for_what_is_not_held_times_out)
{
    port_fault_hold(p, "w1", REQ_WRITE, 1);
    ck_assert_int_eq(port_fault_wait_held(p, "w1", clock_now_ns()), -ETIMEDOUT);
    port_fault_release(p, "w1", 0);
}
END_TEST

START_TEST(a_delay_slows_every_request)
{
    uint64_t start = clock_now_ns();

    port_fault_delay(p, 5 * NS_PER_MS);
    ck_assert_int_eq(write_at(0), 0);
    ck_assert_int_eq(write_at(0), 0);
    ck_assert_uint_ge(clock_now_ns() - start, 10 * NS_PER_MS);
}
END_TEST

START_TEST(it_has_the_face_of_the_port_behind_it)
{
    struct port *mem = NULL;
    char id[8];

    ck_assert_int_eq(port_mem_new(65536, &mem), 0);
    ck_assert_mem_eq(&p->info, &mem->info, sizeof p->info);
    ck_assert_int_eq(port_own(p, NULL), 0);
    port_disown(p);
    ck_assert_int_eq(port_identify(p, id, sizeof id), 0);
    port_close(mem);
}
END_TEST

SUITE("port_fault") = {
    CASE("fault over mem", .setup = setup, .teardown = teardown),
    TEST(only_the_nth_request_fails),
    TEST(every_request_from_the_nth_fails_for_ever),
    TEST(switching_faults_off_forgets_the_hit),
    TEST(a_held_request_reaches_the_device_only_after_release),
    TEST(a_request_released_with_an_error_does_not_reach_the_device),
    TEST(tags_are_released_one_by_one),
    TEST(a_request_that_two_tags_hold_waits_for_both),
    TEST(a_tag_can_be_armed_again_without_catching_the_old_request),
    TEST(slots_of_released_tags_are_used_again),
    TEST(a_flush_can_be_held),
    TEST(waiting_for_what_is_not_held_times_out),
    TEST(a_delay_slows_every_request),
    TEST(it_has_the_face_of_the_port_behind_it),
};
