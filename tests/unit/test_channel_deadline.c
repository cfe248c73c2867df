/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that are not waited for without end: what they get, when, and what becomes
 * of the others. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <check.h>

#include "../channel_fixture.h"
#include "../mute_server.h"
#include "clock.h"
#include "port_channel.h"
#include "suite.h"

#define LIMIT_NS (200 * NS_PER_MS)
#define PATIENCE_NS (10 * NS_PER_S)

static struct mute_server mute;

static int
do_limited(enum req_op op, void *buf, uint64_t off, uint64_t *ret_took_ns)
{
    uint64_t began_ns = clock_now_ns();
    const struct req rq = {.op = op,
                           .buf = buf,
                           .off = off,
                           .len = BLOCK,
                           .deadline_ns = clock_deadline_ns(LIMIT_NS)};
    int rc = port_submit(port, &rq);

    *ret_took_ns = clock_now_ns() - began_ns;
    return rc;
}

static void
expect_limit(uint64_t took_ns)
{
    ck_assert_uint_ge(took_ns, LIMIT_NS);
    ck_assert_uint_lt(took_ns, PATIENCE_NS);
}

static unsigned
unacknowledged(void)
{
    struct port_channel_status status;

    port_channel_status(port, &status);
    return status.unacknowledged;
}

START_TEST(a_request_without_an_owner_ends_at_its_time_and_is_not_performed_later)
{
    char buf[BLOCK], found[BLOCK];
    uint64_t took_ns;

    nbdkit_server_init(&server);
    new_channel(2, server.address, NULL);
    memset(buf, 'a', sizeof buf);
    ck_assert_int_eq(do_limited(REQ_WRITE, buf, 0, &took_ns), -EIO);
    expect_limit(took_ns);
    ck_assert_uint_eq(unacknowledged(), 0);
    start_file_server();
    ck_assert_int_eq(do_io(REQ_READ, found, 0, BLOCK), 0);
    ck_assert_int_eq(found[0], '\0');
    close_all();
}
END_TEST

static void *
read_limited(void *opaque)
{
    char buf[BLOCK];
    uint64_t took_ns;
    int rc = do_limited(REQ_READ, buf, (uintptr_t)opaque * BLOCK, &took_ns);

    return rc == -EIO && took_ns >= LIMIT_NS && took_ns < PATIENCE_NS ? NULL : opaque;
}

/* Whoever drives the socket and whoever follows: each at its time. */
START_TEST(requests_at_an_owner_that_does_not_answer_end_at_their_time)
{
    pthread_t threads[NR_THREADS];
    struct port_channel_status status;
    char buf[BLOCK] = "";

    mute_server_start(&mute, &server);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(port_channel_connect(port, clock_deadline_ns(PATIENCE_NS), NULL),
                     0); /* the requests have no time for that */
    start_threads(threads, read_limited);
    ck_assert_int_eq(join_threads(threads), 0);
    ck_assert_uint_eq(unacknowledged(), 0);
    ck_assert_int_eq(do_io(REQ_WRITE, buf, 0, BLOCK), 0); /* over a newer link */
    port_channel_status(port, &status);
    ck_assert_uint_ge(status.reconnects, 1);
    mute_server_done(&mute);
    close_all();
}
END_TEST

static void *
read_until_recalled(void *opaque)
{
    char buf[BLOCK];

    return do_io(REQ_READ, buf, BLOCK, BLOCK) == -ESTALE ? NULL : opaque;
}

/* The link that ends takes the answers of others with it: they are sent again. */
START_TEST(requests_that_have_time_are_sent_again)
{
    char buf[BLOCK];
    uint64_t took_ns;
    pthread_t thread;
    void *result;

    mute_server_start(&mute, &server);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, read_until_recalled, &took_ns), 0);
    mute_server_wait(&mute, 1);
    ck_assert_int_eq(do_limited(REQ_READ, buf, 0, &took_ns), -EIO);
    expect_limit(took_ns);
    mute_server_wait(&mute, 2); /* the one that was failed, and the other one again */
    ck_assert_uint_eq(unacknowledged(), 1);
    port_channel_recall(port);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_null(result);
    mute_server_done(&mute);
    close_all();
}
END_TEST

SUITE("channel_deadline") = {
    CASE("channel_deadline"),
    TEST(a_request_without_an_owner_ends_at_its_time_and_is_not_performed_later),
    TEST(requests_at_an_owner_that_does_not_answer_end_at_their_time),
    TEST(requests_that_have_time_are_sent_again),
};
