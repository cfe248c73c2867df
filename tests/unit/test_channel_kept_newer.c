/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept never goes over what was acknowledged later: whichever way the later
 * change took, and whoever gets the kept one in the end. */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "../channel_fixture.h"
#include "../kept_owner.h"
#include "port_channel.h"
#include "port_file.h"
#include "suite.h"

#define HERE "here"
#define M1 "baton-owner;instance=m1;epoch=2;flushed-by=-"
#define OWNER_HERE "baton-owner;instance=" HERE ";epoch=2;flushed-by=-"
#define M3 "baton-owner;instance=m3;epoch=3;flushed-by=-"

/* m1 has acknowledged 'a' at 0, 512 bytes, and died; the next owner, on our machine,
 * was sent it again. */
static void
begin_with_a_kept_by_an_owner_here(void)
{
    kept_begin();
    policy.here = HERE;
    start_m(M1);
    new_channel(2, server.address, NULL);
    ck_assert_int_eq(put('a', 0, 512), 0);
    lose_machine();
    start_m(OWNER_HERE);
    ck_assert_int_eq(do_io(REQ_READ, (char[512]){0}, 0, 512), 0);
    ck_assert_int_eq(in_file(0), 'a');
}

/* The disk comes to us by the record of this owner. */
static void
take_it_ourselves(const char *flushed_by)
{
    const struct port_file_opts opts = {.cache = FILE_CACHE_WRITEBACK};
    struct channel_owner us = {.epoch = 3};
    struct port *a;
    uint64_t nr;

    nbdkit_server_kill(&server);
    (void)snprintf(us.flushed_by, sizeof us.flushed_by, "%s", flushed_by);
    port_channel_recall(port);
    ck_assert_int_eq(port_file_open(server.file, &opts, NULL, &a), 0);
    ck_assert_int_eq(port_own(a, NULL), 0);
    ck_assert_int_eq(port_channel_hand_over(port, &us, a, &nr), 0);
    port_close(a);
}

START_TEST(newer_write_here_is_not_undone_when_the_disk_comes_to_us)
{
    begin_with_a_kept_by_an_owner_here();
    ck_assert_int_eq(put('b', 0, 512), 0);
    take_it_ourselves("");
    ck_assert_int_eq(in_file(0), 'b');
    kept_end();
}
END_TEST

START_TEST(newer_durable_write_here_is_not_undone_when_the_disk_comes_to_us)
{
    begin_with_a_kept_by_an_owner_here();
    ck_assert_int_eq(change(REQ_WRITE, REQ_F_FUA, 'b', 0, 512), 0);
    take_it_ourselves("");
    ck_assert_int_eq(in_file(0), 'b');
    kept_end();
}
END_TEST

START_TEST(newer_durable_write_here_is_not_undone_when_a_third_takes_the_disk)
{
    begin_with_a_kept_by_an_owner_here();
    ck_assert_int_eq(change(REQ_WRITE, REQ_F_FUA, 'b', 0, 512), 0);
    nbdkit_server_kill(&server);
    start_m(M3);
    ck_assert_int_eq(put('c', 4096, 512), 0);
    ck_assert_int_eq(in_file(0), 'b');
    kept_end();
}
END_TEST

START_TEST(what_newer_zeroes_and_trims_here_overlap_in_part_is_not_undone)
{
    begin_with_a_kept_by_an_owner_here();
    ck_assert_int_eq(change(REQ_ZERO, 0, 0, 0, 100), 0);
    ck_assert_int_eq(change(REQ_TRIM, REQ_F_FUA, 0, 400, 200), 0);
    nbdkit_server_kill(&server);
    start_m(M3);
    ck_assert_int_eq(put('c', 4096, 512), 0);
    ck_assert_int_eq(in_file(0), 0);
    ck_assert_int_eq(in_file(99), 0);
    ck_assert_int_eq(in_file(100), 'a');
    ck_assert_int_eq(in_file(399), 'a');
    ck_assert_int_eq(in_file(400), 0);
    kept_end();
}
END_TEST

/* The owner's service has died, its device has lost nothing. If what is older were sent
 * again first and we died then, the device would hold it. */
START_TEST(older_write_is_not_sent_again_under_a_newer_one)
{
    kept_begin();
    start_m(M1);
    new_channel(2, server.address, NULL);
    ck_assert_int_eq(put('a', 0, 512), 0);
    ck_assert_int_eq(put('b', 0, 512), 0);
    ck_assert_int_eq(put('c', 256, 512), 0);
    nbdkit_server_kill(&server);
    start_m(M3);
    ck_assert_int_eq(do_io(REQ_READ, (char[512]){0}, 0, 512), 0);
    ck_assert_uint_eq(in_log(" Write "), 2);
    ck_assert_uint_eq(in_log("offset=0x0 count=0x200"), 1); /* the read */
    ck_assert_uint_eq(in_log("offset=0x0 count=0x100"), 1);
    ck_assert_uint_eq(in_log("offset=0x100 count=0x200"), 1);
    kept_end();
}
END_TEST

/* Unlike what was trimmed, what was zeroed is defined, hole or not; the device of the
 * next owner holds what was there long before. */
START_TEST(zeroes_over_a_kept_write_are_zeroes_at_the_next_owner)
{
    int fd;

    kept_begin();
    start_m(M1);
    new_channel(2, server.address, NULL);
    ck_assert_int_eq(put('a', 0, 512), 0);
    ck_assert_int_eq(change(REQ_ZERO, _i == 0 ? 0 : REQ_F_MAY_TRIM, 0, 0, 256), 0);
    lose_machine();
    fd = open(server.file, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pwrite(fd, (char[512]){'x', 'x'}, 512, 0), 512);
    close(fd);
    start_owner(M3, _i == 0 ? "--filter=nofilter" : "--filter=nozero", NULL);
    ck_assert_int_eq(do_io(REQ_READ, (char[512]){0}, 0, 512), 0);
    ck_assert_int_eq(in_file(0), 0);
    ck_assert_int_eq(in_file(1), 0);
    ck_assert_int_eq(in_file(256), 'a');
    kept_end();
}
END_TEST

/* What it keeps is only left from an owner that is gone: it is got rid of. */
START_TEST(owner_here_is_made_to_flush_what_is_still_kept)
{
    begin_with_a_kept_by_an_owner_here();
    ck_assert_uint_eq(nr_kept(), 1);
    ck_assert_int_eq(put('b', 256, 512), 0);
    ck_assert_uint_eq(nr_kept(), 0);
    ck_assert_uint_eq(in_log(" Flush "), 1);
    kept_end();
}
END_TEST

SUITE("channel_kept_newer") = {
    CASE("channel_kept_newer"),
    TEST(newer_write_here_is_not_undone_when_the_disk_comes_to_us),
    TEST(newer_durable_write_here_is_not_undone_when_the_disk_comes_to_us),
    TEST(newer_durable_write_here_is_not_undone_when_a_third_takes_the_disk),
    TEST(what_newer_zeroes_and_trims_here_overlap_in_part_is_not_undone),
    TEST(older_write_is_not_sent_again_under_a_newer_one),
    LOOP(zeroes_over_a_kept_write_are_zeroes_at_the_next_owner, 2),
    TEST(owner_here_is_made_to_flush_what_is_still_kept),
};
