/* SPDX-License-Identifier: BSD-3-Clause */
/* Who says may_block() (base/may_block.h), and who does not have to. This program has
 * the function that in a service is the guard's, and counts. A wait of which it is not
 * told would keep the next request of the connection from being read: for ever, if that
 * is what the wait is for. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <check.h>

#include "clock.h"
#include "layer_limit.h"
#include "lock.h"
#include "may_block.h"
#include "port_fault.h"
#include "port_file.h"
#include "port_mem.h"
#include "port_nbd.h"
#include "suite.h"

#define SIZE (UINT64_C(1) << 20)

static unsigned nr_said;

/* The declaration in may_block.h makes this weak; it is the only one there is. */
void
baton_guard_may_block(void)
{
    nr_said++;
}

static unsigned nr_ends_here; /* "a VM waits for this, and it ends here" */

void
baton_guard_ends_here(size_t len)
{
    nr_ends_here += len > 0;
}

static char buf[4096] __attribute__((aligned(4096)));

/* How often does it say so during one request? */
static unsigned
said_by(struct port *p, enum req_op op, uint32_t flags)
{
    uint32_t len = op == REQ_FLUSH ? 0 : sizeof buf;

    nr_said = 0;
    ck_assert_int_eq(
        port_submit(p, &(struct req){.op = op, .flags = flags, .len = len, .buf = buf}),
        0);
    return nr_said;
}

START_TEST(a_wait_for_a_condition_says_so)
{
    struct lk l;
    struct cv c;

    lk_init(&l);
    cv_init(&c);
    lk_acquire(&l);
    nr_said = 0;
    ck_assert_int_eq(cv_wait_until(&c, &l, clock_now_ns()), -ETIMEDOUT);
    lk_release(&l);
    ck_assert_uint_eq(nr_said, 1);
    cv_done(&c);
    lk_done(&l);
}
END_TEST

static struct port *
open_file(const char *folder)
{
    static const struct port_file_opts opts = {.cache = FILE_CACHE_WRITEBACK};
    char name[64];
    struct port *p;
    int fd;

    (void)snprintf(name, sizeof name, "%s/baton-may-block.XXXXXX", folder);
    fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)SIZE), 0);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(port_file_open(name, &opts, NULL, &p), 0);
    ck_assert_int_eq(port_own(p, NULL), 0);
    ck_assert_int_eq(unlink(name), 0);
    return p;
}

START_TEST(a_file_in_memory_says_so_unless_it_is_a_plain_read_or_write)
{
    struct port *p = open_file("/dev/shm");

    ck_assert_uint_eq(said_by(p, REQ_WRITE, 0), 0);
    ck_assert_uint_eq(said_by(p, REQ_READ, 0), 0);
    ck_assert_uint_ge(said_by(p, REQ_WRITE, REQ_F_FUA), 1);
    ck_assert_uint_ge(said_by(p, REQ_FLUSH, 0), 1);
    ck_assert_uint_ge(said_by(p, REQ_TRIM, 0), 1);
    ck_assert_uint_ge(said_by(p, REQ_ZERO, 0), 1);
    ck_assert_uint_ge(said_by(p, REQ_READ, REQ_F_UNCACHED), 1);
    port_disown(p);
    port_close(p);
}
END_TEST

START_TEST(a_file_tells_which_reads_and_writes_a_vm_waits_for)
{
    struct port *p = open_file("/dev/shm");
    const int session = 0; /* only compared */
    struct req rq = {.op = REQ_READ, .len = sizeof buf, .buf = buf};

    nr_ends_here = 0;
    ck_assert_int_eq(port_submit(p, &rq), 0);
    rq.op = REQ_WRITE;
    ck_assert_int_eq(port_submit(p, &rq), 0);
    ck_assert_uint_eq(nr_ends_here, 2);
    rq.origin = &session; /* who performs it goes on reading, always */
    ck_assert_int_eq(port_submit(p, &rq), 0);
    ck_assert_uint_eq(nr_ends_here, 2);
    port_disown(p);
    port_close(p);
}
END_TEST

START_TEST(a_port_that_knows_nothing_of_it_has_it_said)
{
    struct port *mem, *fault;

    ck_assert_int_eq(port_mem_new(SIZE, &mem), 0);
    ck_assert_int_eq(port_fault_new(mem, &fault), 0);
    ck_assert_uint_ge(said_by(fault, REQ_READ, 0), 1);
    ck_assert_uint_ge(said_by(fault, REQ_WRITE, 0), 1);
    port_close(fault);
}
END_TEST

START_TEST(who_connects_says_so)
{
    struct port *p;

    nr_said = 0;
    ck_assert_int_lt(
        port_nbd_open(&(struct port_nbd_opts){.uri = "nbd+unix:///?socket=/nowhere",
                                              .connections = 1},
                      NULL, &p),
        0);
    ck_assert_uint_ge(nr_said, 1);
}
END_TEST

static uint64_t
no_time(struct limit_clock *c)
{
    (void)c; /* stands still */
    return 0;
}

START_TEST(a_limit_that_has_room_does_not_say_so)
{
    struct limit_clock clock = {.now_ns = no_time};
    struct limit_rates rates = {.iops = 1, .burst_s = 1};
    struct port *file = open_file("/dev/shm"), *limit;

    ck_assert_int_eq(layer_limit_new(file, &rates, &clock, &limit), 0);
    ck_assert_uint_eq(said_by(limit, REQ_READ, 0), 0);
    port_close(limit);
    port_disown(file);
    port_close(file);
}
END_TEST

SUITE("may_block") = {
    CASE("may_block"),
    TEST(a_wait_for_a_condition_says_so),
    TEST(a_file_in_memory_says_so_unless_it_is_a_plain_read_or_write),
    TEST(a_file_tells_which_reads_and_writes_a_vm_waits_for),
    TEST(a_port_that_knows_nothing_of_it_has_it_said),
    TEST(who_connects_says_so),
    TEST(a_limit_that_has_room_does_not_say_so),
};
