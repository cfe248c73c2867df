/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept of acknowledged and unflushed writes, and when it is sent again. */
#include <errno.h>
#include <sys/stat.h>

#include <check.h>

#include "../channel_fixture.h"
#include "../kept_owner.h"
#include "clock.h"
#include "err.h"
#include "port_channel.h"
#include "port_fault.h"
#include "port_file.h"
#include "port_mem.h"
#include "suite.h"

#define M1 "baton-owner;instance=m1;epoch=2;flushed-by=-"
#define M2 "baton-owner;instance=m2;epoch=2;flushed-by=-"
#define M2_FROM_M1 "baton-owner;instance=m2;epoch=3;flushed-by=m1"
#define M2_FROM_M9 "baton-owner;instance=m2;epoch=3;flushed-by=m9"

/* A channel to m1. */
static void
begin(void)
{
    kept_begin();
    start_m(M1);
    new_channel(2, server.address, NULL);
}

static char
byte_in(struct port *p, uint64_t off)
{
    char c = 0;
    const struct req rq = {.op = REQ_READ, .buf = &c, .off = off, .len = 1};

    ck_assert_int_eq(port_submit(p, &rq), 0);
    return c;
}

START_TEST(lost_writes_are_sent_again_in_their_order_before_newer_ones)
{
    begin();
    ck_assert_int_eq(put('a', 0, 4096), 0);
    ck_assert_int_eq(put('b', 512, 1024), 0);
    ck_assert_int_eq(change(REQ_ZERO, 0, 0, 1024, 512), 0);
    ck_assert_uint_eq(nr_kept(), 3);
    lose_machine();
    start_m(M2);
    ck_assert_int_eq(put('c', 256, 512), 0);
    ck_assert_int_eq(in_file(0), 'a');
    ck_assert_int_eq(in_file(256), 'c');
    ck_assert_int_eq(in_file(767), 'c');
    ck_assert_int_eq(in_file(768), 'b');
    ck_assert_int_eq(in_file(1024), 0);
    ck_assert_int_eq(in_file(1536), 'a');
    ck_assert_uint_eq(nr_kept(), 4); /* m2 has not flushed them */
    kept_end();
}
END_TEST

START_TEST(what_was_sent_again_is_lost_with_the_next_machine_too)
{
    begin();
    ck_assert_int_eq(put('a', 0, 512), 0);
    lose_machine();
    start_m(M2);
    ck_assert_int_eq(put('b', 512, 512), 0);
    lose_machine();
    start_m("baton-owner;instance=m3;epoch=2;flushed-by=-");
    ck_assert_int_eq(put('c', 1024, 512), 0);
    ck_assert_int_eq(in_file(0), 'a');
    ck_assert_int_eq(in_file(512), 'b');
    kept_end();
}
END_TEST

START_TEST(same_instance_is_sent_nothing_again)
{
    begin();
    ck_assert_int_eq(put('a', 0, 512), 0);
    lose_machine(); /* it says that it did not happen */
    start_m(M1);
    ck_assert_int_eq(put('b', 512, 512), 0);
    ck_assert_int_eq(in_file(0), 0);
    ck_assert_uint_eq(nr_kept(), 2);
    kept_end();
}
END_TEST

START_TEST(flush_empties_it)
{
    begin();
    ck_assert_int_eq(put('a', 0, 512), 0);
    ck_assert_int_eq(do_io(REQ_FLUSH, NULL, 0, 0), 0);
    ck_assert_uint_eq(nr_kept(), 0);
    lose_machine();
    start_m(M2);
    ck_assert_int_eq(put('b', 512, 512), 0);
    ck_assert_int_eq(in_file(0), 0);
    kept_end();
}
END_TEST

START_TEST(durable_write_is_not_kept_where_nothing_older_would_be_sent_over_it)
{
    begin();
    ck_assert_int_eq(change(REQ_WRITE, REQ_F_FUA, 'a', 0, 512), 0);
    ck_assert_uint_eq(nr_kept(), 0);
    ck_assert_int_eq(put('b', 0, 512), 0);
    ck_assert_int_eq(change(REQ_WRITE, REQ_F_FUA, 'c', 4096, 512), 0);
    ck_assert_uint_eq(nr_kept(), 1);
    kept_end();
}
END_TEST

START_TEST(durable_write_over_a_kept_one_follows_it_again)
{
    begin();
    ck_assert_int_eq(put('b', 0, 512), 0);
    ck_assert_int_eq(change(REQ_WRITE, REQ_F_FUA, 'd', 256, 512), 0);
    ck_assert_uint_eq(in_log(" Flush "), 0);
    lose_machine();
    start_m(M2);
    ck_assert_int_eq(do_io(REQ_FLUSH, NULL, 0, 0), 0);
    ck_assert_int_eq(in_file(0), 'b');
    ck_assert_int_eq(in_file(256), 'd');
    ck_assert_int_eq(in_file(767), 'd');
    kept_end();
}
END_TEST

START_TEST(channel_flushes_by_itself_when_half_of_the_room_is_taken)
{
    kept_begin();
    policy.keep_bytes = 64 * 1024;
    start_m(M1);
    new_channel(1, server.address, NULL);
    for (uint64_t i = 0; i < 7; i++) {
        ck_assert_int_eq(put('a', i * 4096, 4096), 0);
    }
    ck_assert_uint_eq(nr_kept(), 7);
    ck_assert_int_eq(put('a', 0, 4096), 0);
    ck_assert_uint_eq(nr_kept(), 0);
    ck_assert_uint_eq(in_log(" Flush "), 1);
    kept_end();
}
END_TEST

/* An owner that keeps nothing, and does this for a flush. */
static void
start_owner_whose_flush(const char *script)
{
    char flush[200];
    const char *const args[] = {"--filter=exportname",
                                "eval",
                                ("exportdesc=fixed:" M1),
                                "get_size=echo 4194304",
                                "can_write=exit 0",
                                "can_flush=exit 0",
                                "pread=exit 1",
                                "pwrite=cat >/dev/null",
                                flush,
                                NULL};

    (void)snprintf(flush, sizeof flush, "flush=%s", script);
    nbdkit_server_start(&server, args);
}

START_TEST(bound_holds_when_no_flush_succeeds)
{
    int nr = 0;

    kept_begin();
    policy.keep_bytes = 64 * 1024;
    start_owner_whose_flush("echo EIO >&2; exit 1");
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(port_channel_connect(port, clock_deadline_ns(10 * NS_PER_S), NULL),
                     0);
    while (put('a', 0, 4096) == 0) {
        nr++;
    }
    ck_assert_int_eq(nr, 16);
    ck_assert_uint_eq(atomic_load_explicit(&kept.bytes, memory_order_relaxed),
                      64 * 1024);
    ck_assert_int_eq(put('a', 0, 4096), -EIO);
    kept_end();
}
END_TEST

/* Half of the room is taken by the last of these. */
static void
fill_half(void)
{
    for (uint64_t i = 0; i < 8; i++) {
        ck_assert_int_eq(put('a', i * 4096, 4096), 0);
    }
}

static int
flush_of(uint64_t requester)
{
    const struct req rq = {.op = REQ_FLUSH, .requester = requester};

    return port_submit(port, &rq);
}

/* An owner with an NBD device: it says once to a session that acknowledged data is
 * lost. path is made by the flush that is told. */
static void
start_owner_that_tells_once(const char *path)
{
    char script[160];

    (void)snprintf(script, sizeof script,
                   "mkdir %s 2>/dev/null || exit 0; echo ENOSPC >&2; exit 1", path);
    start_owner_whose_flush(script);
}

/* It was the channel's own flush that was told, on behalf of nobody. */
START_TEST(every_vm_hears_of_a_loss_that_the_channel_was_told)
{
    const uint64_t vm = req_new_requester(), other = req_new_requester();
    char path[80];

    kept_begin();
    policy.keep_bytes = 64 * 1024;
    (void)snprintf(path, sizeof path, "%s/told", server.dir);
    start_owner_that_tells_once(path);
    new_channel(1, server.address, NULL);
    fill_half();
    ck_assert_int_eq(rmdir(path), 0); /* it was told */
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(flush_of(vm), -ENOSPC);
    ck_assert_int_eq(flush_of(vm), 0);
    ck_assert_int_eq(flush_of(other), -ENOSPC);
    ck_assert_int_eq(flush_of(other), 0);
    ck_assert_int_eq(rmdir(path), 0);
    kept_end();
}
END_TEST

START_TEST(vm_that_never_flushes_hears_of_a_loss_by_one_write)
{
    const uint64_t vm = req_new_requester();
    char path[80], buf[4096] = "";
    const struct req rq = {
        .op = REQ_WRITE, .len = sizeof buf, .buf = buf, .requester = vm};

    kept_begin();
    policy.keep_bytes = 64 * 1024;
    (void)snprintf(path, sizeof path, "%s/told", server.dir);
    start_owner_that_tells_once(path);
    new_channel(1, server.address, NULL);
    for (unsigned i = 0; i < 16; i++) {
        ck_assert_int_eq(port_submit(port, &rq), 0);
    }
    ck_assert_int_eq(port_submit(port, &rq), -ENOSPC); /* there is no room */
    ck_assert_int_eq(port_submit(port, &rq), 0);
    ck_assert_uint_eq(nr_kept(), 1);
    ck_assert_int_eq(rmdir(path), 0);
    kept_end();
}
END_TEST

/* And then the device is given on, flushed of all but what is lost. */
START_TEST(what_a_flush_failed_for_is_sent_again_to_the_next_owner)
{
    char path[80];

    kept_begin();
    policy.keep_bytes = 64 * 1024;
    (void)snprintf(path, sizeof path, "%s/told", server.dir);
    start_owner_that_tells_once(path);
    new_channel(1, server.address, NULL);
    fill_half();
    ck_assert_int_eq(put('b', 0, 4096), 0); /* again half, and again a flush */
    ck_assert_int_eq(rmdir(path), 0);
    nbdkit_server_kill(&server);
    start_m(M2_FROM_M1);
    ck_assert_int_eq(do_io(REQ_READ, (char[512]){0}, 0, 512), 0);
    ck_assert_int_eq(in_file(0), 'b');
    ck_assert_int_eq(in_file(4096), 'a');
    kept_end();
}
END_TEST

START_TEST(nothing_is_copied_for_an_owner_that_dies_only_with_us)
{
    kept_begin();
    policy.here = "m1";
    start_m(M1);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(put('a', 0, 512), 0);
    ck_assert_uint_eq(nr_kept(), 0);
    nbdkit_server_kill(&server);
    start_m(M2); /* it moved to another machine */
    ck_assert_int_eq(put('b', 0, 512), 0);
    ck_assert_uint_eq(nr_kept(), 1);
    kept_end();
}
END_TEST

START_TEST(what_was_flushed_when_the_device_was_given_on_is_forgotten)
{
    begin();
    ck_assert_int_eq(put('a', 0, 512), 0);
    lose_machine();
    start_m(M2_FROM_M1);
    ck_assert_int_eq(put('b', 512, 512), 0);
    ck_assert_int_eq(in_file(0), 0);
    ck_assert_uint_eq(nr_kept(), 1);
    kept_end();
}
END_TEST

/* m1 died, came again as m9, was told nothing by us, and gave the device on. */
START_TEST(flush_of_a_later_life_of_the_giver_covers_nothing)
{
    begin();
    ck_assert_int_eq(put('a', 0, 512), 0);
    lose_machine();
    start_m(M2_FROM_M9);
    ck_assert_int_eq(put('b', 512, 512), 0);
    ck_assert_int_eq(in_file(0), 'a');
    kept_end();
}
END_TEST

START_TEST(owner_without_a_statement_may_always_have_lost_everything)
{
    begin();
    nbdkit_server_kill(&server);
    start_m("a disk of somebody else");
    ck_assert_int_eq(put('a', 0, 512), 0);
    lose_machine();
    start_m("a disk of somebody else");
    ck_assert_int_eq(put('b', 512, 512), 0);
    ck_assert_int_eq(in_file(0), 'a');
    kept_end();
}
END_TEST

START_TEST(malformed_statement_is_refused)
{
    struct err e = {""};

    kept_begin();
    start_m("baton-owner;instance=m1;epoch=2");
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(port_channel_connect(port, clock_deadline_ns(10 * NS_PER_S), &e),
                     -EPROTO);
    ck_assert_ptr_nonnull(strstr(e.msg, "malformed"));
    kept_end();
}
END_TEST

START_TEST(writethrough_makes_every_change_durable_and_keeps_nothing)
{
    kept_begin();
    policy.durability = CHANNEL_WRITETHROUGH;
    start_m(M1);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(put('a', 0, 512), 0);
    ck_assert_int_eq(change(REQ_ZERO, 0, 0, 512, 512), 0);
    ck_assert_int_eq(change(REQ_TRIM, 0, 0, 1024, 512), 0);
    ck_assert_uint_eq(nr_kept(), 0);
    nbdkit_server_kill(&server); /* the log is complete */
    ck_assert_uint_eq(in_log(" fua=1"), 3);
    kept_end();
}
END_TEST

START_TEST(owner_policy_does_neither)
{
    kept_begin();
    policy.durability = CHANNEL_OWNER;
    start_m(M1);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(put('a', 0, 512), 0);
    ck_assert_uint_eq(nr_kept(), 0);
    nbdkit_server_kill(&server);
    ck_assert_uint_eq(in_log(" fua=1"), 0);
    kept_end();
}
END_TEST

START_TEST(what_cannot_be_written_again_fails_every_later_flush)
{
    begin();
    ck_assert_int_eq(put('a', 0, 512), 0);
    lose_machine();
    start_owner(M2, "--filter=error", "error-pwrite-rate=100%");
    ck_assert_int_eq(do_io(REQ_FLUSH, NULL, 0, 0), -EIO);
    nbdkit_server_kill(&server);
    start_m(M2);
    ck_assert_int_eq(put('b', 512, 512), 0);
    ck_assert_int_eq(do_io(REQ_FLUSH, NULL, 0, 0), -EIO);
    kept_end();
}
END_TEST

/* A device of our own, behind faults. */
static struct port *
open_own_device(void)
{
    const struct port_file_opts opts = {.cache = FILE_CACHE_WRITEBACK};
    struct port *file, *fault;

    ck_assert_int_eq(port_file_open(server.file, &opts, NULL, &file), 0);
    ck_assert_int_eq(port_fault_new(file, &fault), 0);
    ck_assert_int_eq(port_own(fault, NULL), 0);
    return fault;
}

/* Whether the owner before could not write it again, or our own device. */
START_TEST(what_cannot_be_written_again_fails_the_flushes_of_our_own_device)
{
    const struct channel_owner taken = {.epoch = 3};
    const struct req flush = {.op = REQ_FLUSH};
    bool is_ours = _i == 1;
    struct port *a;
    uint64_t nr;

    begin();
    ck_assert_int_eq(put('a', 0, 512), 0);
    lose_machine();
    if (!is_ours) {
        start_owner(M2, "--filter=error", "error-pwrite-rate=100%");
        ck_assert_int_eq(do_io(REQ_FLUSH, NULL, 0, 0), -EIO);
        nbdkit_server_kill(&server);
        start_m(M2);
        ck_assert_int_eq(put('b', 512, 512), 0);
    }
    port_channel_recall(port);
    a = open_own_device();
    port_fault_fail_nth(a, is_ours ? 1 : 0, -EIO, true);
    ck_assert_int_eq(port_channel_hand_over(port, &taken, a, &nr), -EIO);
    ck_assert_uint_eq(nr, 1);
    port_fault_fail_nth(a, 0, 0, false);
    ck_assert_int_eq(port_submit(a, &flush), -EIO);
    ck_assert_int_eq(port_submit(a, &flush), -EIO);
    port_close(a);
    kept_end();
}
END_TEST

START_TEST(device_that_fails_for_a_moment_costs_nothing)
{
    const struct channel_owner taken = {.epoch = 3};
    struct port *mem, *fault;
    uint64_t nr;

    ck_assert_int_eq(port_mem_new(4 * MIB, &mem), 0);
    ck_assert_int_eq(port_fault_new(mem, &fault), 0);
    begin();
    ck_assert_int_eq(put('a', 0, 512), 0);
    ck_assert_int_eq(put('b', 0, 256), 0);
    port_channel_recall(port);
    port_fault_fail_nth(fault, 1, -EIO, false);
    ck_assert_int_eq(port_channel_hand_over(port, &taken, fault, &nr), 0);
    ck_assert(port_fault_hit(fault));
    ck_assert_int_eq(byte_in(fault, 0), 'b');
    ck_assert_int_eq(byte_in(fault, 256), 'a');
    port_close(fault);
    kept_end();
}
END_TEST

START_TEST(next_owner_that_is_us_gets_what_nobody_has_flushed)
{
    const struct channel_owner taken = {.epoch = 3};
    struct port *mem;
    uint64_t nr;

    ck_assert_int_eq(port_mem_new(4 * MIB, &mem), 0);
    begin();
    ck_assert_int_eq(put('a', 0, 512), 0);
    ck_assert_int_eq(put('b', 1, 512), 0);
    port_channel_recall(port);
    ck_assert_int_eq(port_channel_hand_over(port, &taken, mem, &nr), 0);
    ck_assert_uint_eq(nr, 2);
    ck_assert_int_eq(byte_in(mem, 0), 'a');
    ck_assert_int_eq(byte_in(mem, 1), 'b');
    port_close(mem);
    kept_end();
}
END_TEST

START_TEST(next_owner_that_is_us_gets_nothing_that_was_flushed)
{
    const struct channel_owner given = {.epoch = 3, .flushed_by = "m1"};
    uint64_t nr;

    begin();
    ck_assert_int_eq(put('a', 0, 512), 0);
    port_channel_recall(port);
    ck_assert_int_eq(port_channel_hand_over(port, &given, NULL, &nr), 0);
    ck_assert_uint_eq(nr, 0);
    kept_end();
}
END_TEST

SUITE("channel_kept") = {
    CASE("channel_kept"),
    TEST(lost_writes_are_sent_again_in_their_order_before_newer_ones),
    TEST(what_was_sent_again_is_lost_with_the_next_machine_too),
    TEST(same_instance_is_sent_nothing_again),
    TEST(flush_empties_it),
    TEST(durable_write_is_not_kept_where_nothing_older_would_be_sent_over_it),
    TEST(durable_write_over_a_kept_one_follows_it_again),
    TEST(device_that_fails_for_a_moment_costs_nothing),
    TEST(channel_flushes_by_itself_when_half_of_the_room_is_taken),
    TEST(bound_holds_when_no_flush_succeeds),
    TEST(nothing_is_copied_for_an_owner_that_dies_only_with_us),
    TEST(what_was_flushed_when_the_device_was_given_on_is_forgotten),
    TEST(flush_of_a_later_life_of_the_giver_covers_nothing),
    TEST(owner_without_a_statement_may_always_have_lost_everything),
    TEST(malformed_statement_is_refused),
    TEST(writethrough_makes_every_change_durable_and_keeps_nothing),
    TEST(owner_policy_does_neither),
    TEST(what_cannot_be_written_again_fails_every_later_flush),
    LOOP(what_cannot_be_written_again_fails_the_flushes_of_our_own_device, 2),
    TEST(next_owner_that_is_us_gets_what_nobody_has_flushed),
    TEST(next_owner_that_is_us_gets_nothing_that_was_flushed),
    CASE("flushes that fail"),
    TEST(every_vm_hears_of_a_loss_that_the_channel_was_told),
    TEST(vm_that_never_flushes_hears_of_a_loss_by_one_write),
    TEST(what_a_flush_failed_for_is_sent_again_to_the_next_owner),
};
