/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../nbd_rig.h"
#include "err.h"
#include "port_nbd.h"
#include "suite.h"

#define NR_ROUNDS 200

static void
open_port(unsigned connections)
{
    struct err e = {""};
    int rc = port_nbd_open(
        &(struct port_nbd_opts){.uri = server.uri, .connections = connections}, &e,
        &port);

    ck_assert_msg(rc == 0, "%s", err_text(&e, rc));
}

static void
open_port_at(const char *const *nbdkit_args)
{
    nbdkit_server_init(&server);
    nbdkit_server_start(&server, nbdkit_args);
    open_port(1);
}

/* Every thread writes its own blocks with its own stamp and reads them back. */
static void *
stamp_blocks(void *opaque)
{
    uint64_t me = (uint64_t)(uintptr_t)opaque;
    uint64_t out[BLOCK / 8], in[BLOCK / 8];

    for (uint64_t round = 0; round < NR_ROUNDS; round++) {
        uint64_t off = (round % 16 * NR_THREADS + me) * BLOCK;

        for (unsigned i = 0; i < BLOCK / 8; i++) {
            out[i] = me << 48 | round << 16 | i;
        }
        if (do_io(REQ_WRITE, out, off, BLOCK) != 0 ||
            do_io(REQ_READ, in, off, BLOCK) != 0 || memcmp(in, out, BLOCK) != 0) {
            return (void *)1;
        }
    }
    return NULL;
}

START_TEST(threads_on_shared_connections_read_what_they_wrote)
{
    static const unsigned connections[] = {1, 4};
    pthread_t threads[NR_THREADS];

    nbdkit_server_memory(&server, "4M");
    open_port(connections[_i]);
    start_threads(threads, stamp_blocks);
    ck_assert_int_eq(join_threads(threads), 0);
    close_all();
}
END_TEST

START_TEST(info_says_what_the_server_says)
{
    nbdkit_server_memory(&server, "4M");
    open_port(1);
    ck_assert_uint_eq(port->info.size, 4 * MIB);
    ck_assert_uint_eq(port->info.min_block, 1);
    ck_assert_uint_eq(port->info.max_block, UINT32_MAX);
    ck_assert_uint_eq(port->info.caps, PORT_CAN_WRITE | PORT_CAN_FLUSH | PORT_CAN_FUA |
                                           PORT_CAN_TRIM | PORT_CAN_ZERO |
                                           PORT_CAN_FAST_ZERO | PORT_CAN_EXTENTS |
                                           PORT_CAN_CACHE | PORT_CAN_MULTI_CONN);
    close_all();
}
END_TEST

START_TEST(payload_longer_than_the_server_takes_is_sent_in_parts)
{
    const char *const args[] = {"--filter=blocksize-policy",
                                "memory",
                                "4M",
                                "blocksize-minimum=512",
                                "blocksize-preferred=4096",
                                "blocksize-maximum=65536",
                                "blocksize-error-policy=error",
                                NULL};
    char *out = malloc(MIB), *in = calloc(1, MIB);

    open_port_at(args);
    ck_assert_uint_eq(port->info.min_block, 512);
    memset(out, 0x5a, MIB);
    ck_assert_int_eq(do_io(REQ_WRITE, out, 512, MIB - 512), 0);
    ck_assert_int_eq(do_io(REQ_READ, in, 512, MIB - 512), 0);
    ck_assert_int_eq(memcmp(in, out, MIB - 512), 0);
    free(out);
    free(in);
    close_all();
}
END_TEST

START_TEST(error_of_the_server_is_passed_on)
{
    const char *const args[] = {
        "--filter=error",      "memory", "4M", "error-pwrite=ENOSPC",
        "error-pwrite-rate=1", NULL};
    char buf[512] = "";

    open_port_at(args);
    ck_assert_int_eq(do_io(REQ_WRITE, buf, 0, 512), -ENOSPC);
    ck_assert_int_eq(do_io(REQ_READ, buf, 0, 512), 0);
    close_all();
}
END_TEST

START_TEST(shutdown_answer_of_the_device_is_an_io_error)
{
    const char *const args[] = {
        "--filter=error",     "memory", "4M", "error-pread=ESHUTDOWN",
        "error-pread-rate=1", NULL};
    char buf[512];

    open_port_at(args);
    ck_assert_int_eq(do_io(REQ_READ, buf, 0, 512), -EIO);
    close_all();
}
END_TEST

START_TEST(port_fails_for_good_when_its_server_dies)
{
    char buf[512];

    nbdkit_server_memory(&server, "4M");
    open_port(4);
    ck_assert_int_eq(do_io(REQ_READ, buf, 0, 512), 0);
    nbdkit_server_kill(&server);
    ck_assert_int_eq(do_io(REQ_READ, buf, 0, 512), -EIO);
    ck_assert_int_eq(do_io(REQ_FLUSH, NULL, 0, 0), -EIO);
    close_all();
}
END_TEST

static void *
read_fails(void *opaque)
{
    char buf[512];

    (void)opaque;
    return do_io(REQ_READ, buf, 0, 512) == -EIO ? NULL : (void *)1;
}

START_TEST(requests_in_flight_fail_when_the_server_dies)
{
    const char *const args[] = {"--filter=delay", "memory", "4M", "rdelay=100", NULL};
    pthread_t threads[NR_THREADS];

    open_port_at(args);
    start_threads(threads, read_fails);
    nbdkit_server_kill(&server);
    ck_assert_int_eq(join_threads(threads), 0);
    close_all();
}
END_TEST

struct extent_log {
    struct extent_sink sink;
    unsigned nr;
    uint64_t next;
    uint64_t data; /* bytes of data among what was reported */
};

static int
log_extent(struct extent_sink *s, uint64_t off, uint64_t len, uint32_t type)
{
    struct extent_log *l = (struct extent_log *)s;

    ck_assert_uint_eq(off, l->next);
    l->next += len;
    l->data += type == 0 ? len : 0;
    l->nr++;
    return 0;
}

static struct extent_log
get_extents(uint32_t flags)
{
    struct extent_log log = {.sink = {.add = log_extent}};
    const struct req rq = {
        .op = REQ_EXTENTS, .flags = flags, .len = 64 * MIB, .extents = &log.sink};

    ck_assert_int_eq(port_submit(port, &rq), 0);
    return log;
}

START_TEST(extents_cover_the_range_however_many_they_are)
{
    char buf[BLOCK];
    struct extent_log all, one;

    nbdkit_server_memory(&server, "64M");
    open_port(1);
    memset(buf, 1, sizeof buf);
    for (unsigned i = 0; i < 150; i++) { /* pages of the memory plugin are 32 KiB */
        ck_assert_int_eq(do_io(REQ_WRITE, buf, i * UINT64_C(65536), BLOCK), 0);
    }
    all = get_extents(0);
    one = get_extents(REQ_F_ONE);
    ck_assert_uint_eq(all.next, 64 * MIB);
    ck_assert_uint_eq(all.data, UINT64_C(150) * 32768);
    ck_assert_uint_eq(one.nr, 1);
    ck_assert_uint_eq(one.next, 32768);
    close_all();
}
END_TEST

START_TEST(zeroed_range_reads_as_zeroes_and_may_become_a_hole)
{
    static char buf[65536];
    struct req rq = {.op = REQ_ZERO, .len = sizeof buf};

    nbdkit_server_memory(&server, "64M");
    open_port(1);
    memset(buf, 1, sizeof buf);
    ck_assert_int_eq(do_io(REQ_WRITE, buf, 0, sizeof buf), 0);
    ck_assert_int_eq(port_submit(port, &rq), 0);
    ck_assert_int_eq(do_io(REQ_READ, buf, 0, sizeof buf), 0);
    ck_assert_int_eq(buf[0] | buf[sizeof buf - 1], 0);
    rq.flags = REQ_F_MAY_TRIM | REQ_F_FUA;
    ck_assert_int_eq(port_submit(port, &rq), 0);
    ck_assert_uint_eq(get_extents(0).data, 0);
    close_all();
}
END_TEST

START_TEST(readonly_port_offers_no_change)
{
    nbdkit_server_memory(&server, "4M");
    ck_assert_int_eq(port_nbd_open(&(struct port_nbd_opts){.uri = server.uri,
                                                           .readonly = true,
                                                           .connections = 1},
                                   NULL, &port),
                     0);
    ck_assert_uint_eq(
        port->info.caps & (PORT_CAN_WRITE | PORT_CAN_TRIM | PORT_CAN_ZERO), 0);
    close_all();
}
END_TEST

START_TEST(open_says_why_it_fails)
{
    struct err e = {""};

    nbdkit_server_init(&server);
    ck_assert_int_eq(
        port_nbd_open(&(struct port_nbd_opts){.uri = server.uri, .connections = 1}, &e,
                      &port),
        -ENOENT);
    ck_assert_ptr_nonnull(strstr(e.msg, server.uri));
    ck_assert_ptr_nonnull(strstr(e.msg, "No such file"));
    ck_assert_int_eq(
        port_nbd_open(&(struct port_nbd_opts){.uri = "nbd:rubbish", .connections = 1},
                      &e, &port),
        -EINVAL);
    ck_assert_ptr_null(port);
    close_all();
}
END_TEST

SUITE("port_nbd") = {
    CASE("port_nbd"),
    LOOP(threads_on_shared_connections_read_what_they_wrote, 2),
    TEST(info_says_what_the_server_says),
    TEST(payload_longer_than_the_server_takes_is_sent_in_parts),
    TEST(error_of_the_server_is_passed_on),
    TEST(shutdown_answer_of_the_device_is_an_io_error),
    TEST(port_fails_for_good_when_its_server_dies),
    TEST(requests_in_flight_fail_when_the_server_dies),
    TEST(extents_cover_the_range_however_many_they_are),
    TEST(zeroed_range_reads_as_zeroes_and_may_become_a_hole),
    TEST(readonly_port_offers_no_change),
    TEST(open_says_why_it_fails),
};
