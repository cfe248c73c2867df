/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <check.h>

#include "../channel_fixture.h"
#include "../mute_server.h"
#include "clock.h"
#include "err.h"
#include "port_channel.h"
#include "suite.h"

static void *
read_is_stale(void *opaque)
{
    char buf[512];

    (void)opaque;
    return do_io(REQ_READ, buf, 0, sizeof buf) == -ESTALE ? NULL : (void *)1;
}

START_TEST(recall_sends_requests_back_that_wait_for_an_answer)
{
    pthread_t threads[NR_THREADS];
    struct mute_server owner;
    struct port_channel_status status;

    mute_server_start(&owner, &server);
    new_channel(1, server.address, NULL);
    start_threads(threads, read_is_stale);
    mute_server_wait(&owner, NR_THREADS);
    port_channel_status(port, &status);
    ck_assert_uint_eq(status.unacknowledged, NR_THREADS);
    ck_assert(status.is_connected);
    port_channel_recall(port);
    ck_assert_int_eq(join_threads(threads), 0);
    ck_assert_ptr_null(read_is_stale(NULL));
    ck_assert_int_eq(port_channel_connect(port, CLOCK_NEVER, NULL), -ESTALE);
    mute_server_done(&owner);
    close_all();
}
END_TEST

START_TEST(recall_sends_requests_back_that_wait_for_an_owner)
{
    pthread_t threads[NR_THREADS];
    int fd, peer;

    nbdkit_server_init(&server);
    fd = nbdkit_server_listen(&server);
    new_channel(2, server.address, NULL);
    start_threads(threads, read_is_stale);
    peer = accept(fd, NULL, NULL); /* one of them waits for a greeting now */
    ck_assert_int_ge(peer, 0);
    port_channel_recall(port);
    ck_assert_int_eq(join_threads(threads), 0);
    close(peer);
    close(fd);
    close_all();
}
END_TEST

START_TEST(recall_ends_the_waiting_for_the_next_try)
{
    pthread_t threads[NR_THREADS];

    nbdkit_server_init(&server); /* nobody listens: they back off */
    new_channel(1, server.address, NULL);
    start_threads(threads, read_is_stale);
    port_channel_recall(port);
    ck_assert_int_eq(join_threads(threads), 0);
    close_all();
}
END_TEST

static void *
connect_is_stale(void *opaque)
{
    (void)opaque;
    return port_channel_connect(port, CLOCK_NEVER, NULL) == -ESTALE ? NULL : (void *)1;
}

START_TEST(recall_interrupts_a_connect_that_is_never_answered)
{
    pthread_t threads[NR_THREADS];
    int fd, peer;

    nbdkit_server_init(&server);
    fd = nbdkit_server_listen(&server);
    new_channel(1, server.address, NULL);
    start_threads(threads, connect_is_stale);
    peer = accept(fd, NULL, NULL);
    ck_assert_int_ge(peer, 0);
    port_channel_recall(port);
    ck_assert_int_eq(join_threads(threads), 0);
    close(peer);
    close(fd);
    close_all();
}
END_TEST

START_TEST(connect_gives_up_at_its_deadline_and_can_be_tried_again)
{
    struct err e = {""};
    int fd;

    nbdkit_server_init(&server);
    fd = nbdkit_server_listen(&server);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(port_channel_connect(port, clock_deadline_ns(20 * NS_PER_MS), &e),
                     -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(e.msg, server.address));
    close(fd);
    ck_assert_int_eq(port_channel_connect(port, CLOCK_NEVER, &e), -ECONNREFUSED);
    start_file_server();
    ck_assert_int_eq(port_channel_connect(port, CLOCK_NEVER, &e), 0);
    close_all();
}
END_TEST

START_TEST(connect_refuses_an_export_of_another_size)
{
    struct err e = {""};
    struct port_channel_status status;

    nbdkit_server_memory(&server, "5M");
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(port_channel_connect(port, CLOCK_NEVER, &e), -EINVAL);
    ck_assert_ptr_nonnull(strstr(e.msg, "size"));
    port_channel_status(port, &status);
    ck_assert(!status.is_connected);
    close_all();
}
END_TEST

START_TEST(connect_notices_that_an_idle_channel_has_died)
{
    struct port_channel_status status;

    nbdkit_server_memory(&server, "4M");
    new_channel(2, server.address, NULL);
    ck_assert_int_eq(port_channel_connect(port, CLOCK_NEVER, NULL), 0);
    port_channel_status(port, &status);
    ck_assert(status.is_connected);
    nbdkit_server_kill(&server);
    port_channel_status(port, &status);
    ck_assert(!status.is_connected);
    ck_assert_int_eq(port_channel_connect(port, CLOCK_NEVER, NULL), -ECONNREFUSED);
    close_all();
}
END_TEST

START_TEST(next_address_is_tried_when_one_refuses)
{
    char buf[512];

    nbdkit_server_memory(&server, "4M");
    new_channel(1, "unix:/nonexistent/socket", server.address);
    ck_assert_int_eq(do_io(REQ_READ, buf, 0, sizeof buf), 0);
    close_all();
}
END_TEST

START_TEST(what_a_later_owner_cannot_do_is_made_up_for)
{
    const char *const args[] = {
        "--filter=nozero", "--filter=fua", "memory", "4M", "zeromode=none", NULL};
    struct req zero = {.op = REQ_ZERO, .flags = REQ_F_FUA, .len = 3 * BLOCK};
    char buf[BLOCK];

    nbdkit_server_init(&server);
    nbdkit_server_start(&server, args);
    new_channel(1, server.address, NULL);
    memset(buf, 1, sizeof buf);
    ck_assert_int_eq(do_io(REQ_WRITE, buf, BLOCK, BLOCK), 0);
    ck_assert_int_eq(port_submit(port, &zero), 0);
    ck_assert_int_eq(do_io(REQ_READ, buf, BLOCK, BLOCK), 0);
    ck_assert_int_eq(buf[0] | buf[BLOCK - 1], 0);
    close_all();
}
END_TEST

SUITE("port_channel") = {
    CASE("port_channel"),
    TEST(recall_sends_requests_back_that_wait_for_an_answer),
    TEST(recall_sends_requests_back_that_wait_for_an_owner),
    TEST(recall_ends_the_waiting_for_the_next_try),
    TEST(recall_interrupts_a_connect_that_is_never_answered),
    TEST(connect_gives_up_at_its_deadline_and_can_be_tried_again),
    TEST(connect_refuses_an_export_of_another_size),
    TEST(connect_notices_that_an_idle_channel_has_died),
    TEST(next_address_is_tried_when_one_refuses),
    TEST(what_a_later_owner_cannot_do_is_made_up_for),
};
