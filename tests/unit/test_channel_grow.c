/* SPDX-License-Identifier: BSD-3-Clause */
/* How many lanes there are, and when. */
#include <pthread.h>

#include <check.h>

#include "../channel_fixture.h"
#include "../mute_server.h"
#include "clock.h"
#include "port_channel.h"
#include "suite.h"

#define PATIENCE_NS (10 * NS_PER_S)
#define NR_READS 20

static _Atomic unsigned nr_clients;

static struct port_channel_status
status(void)
{
    struct port_channel_status st;

    port_channel_status(port, &st);
    return st;
}

static void
connect_for(unsigned nr, unsigned max_lanes)
{
    struct err e = {0};

    atomic_store(&nr_clients, nr);
    clients = &nr_clients;
    new_channel(max_lanes, server.address, NULL);
    ck_assert_msg(port_channel_connect(port, clock_deadline_ns(PATIENCE_NS), &e) == 0,
                  "%s", e.msg);
}

static void *
read_some(void *opaque)
{
    char buf[512];

    (void)opaque;
    for (unsigned i = 0; i < NR_READS; i++) {
        if (do_io(REQ_READ, buf, 0, sizeof buf) != 0) {
            return (void *)1;
        }
    }
    return NULL;
}

START_TEST(a_link_begins_with_a_lane_for_each_client_up_to_the_most)
{
    static const unsigned clients_and_lanes[][2] = {{0, 1}, {1, 1}, {3, 3}, {9, 4}};

    nbdkit_server_init(&server);
    start_file_server();
    for (unsigned i = 0; i < 4; i++) {
        connect_for(clients_and_lanes[i][0], 4);
        ck_assert_uint_eq(status().lanes, clients_and_lanes[i][1]);
        port_close(port);
    }
    port = NULL;
    close_all();
}
END_TEST

START_TEST(a_rest_lets_the_lanes_go_until_the_next_request)
{
    nbdkit_server_init(&server);
    start_file_server();
    connect_for(0, 4);
    port_channel_rest(port);
    ck_assert(!status().is_connected);
    ck_assert_uint_eq(status().lanes, 0);
    port_channel_rest(port); /* there is nothing more to let go */
    ck_assert_ptr_null(read_some(NULL));
    ck_assert_uint_eq(status().lanes, 1);
    ck_assert_uint_eq(status().reconnects, 0);
    close_all();
}
END_TEST

static void *
read_is_stale(void *opaque)
{
    char buf[512];

    (void)opaque;
    return do_io(REQ_READ, buf, 0, sizeof buf) == -ESTALE ? NULL : (void *)1;
}

START_TEST(a_channel_with_a_request_on_its_way_does_not_rest)
{
    pthread_t threads[NR_THREADS];
    struct mute_server owner;

    mute_server_start(&owner, &server);
    clients = NULL;
    new_channel(1, server.address, NULL);
    start_threads(threads, read_is_stale);
    mute_server_wait(&owner, NR_THREADS);
    port_channel_rest(port);
    ck_assert(status().is_connected);
    port_channel_recall(port);
    ck_assert_int_eq(join_threads(threads), 0);
    mute_server_done(&owner);
    close_all();
}
END_TEST

/* Eight that wait want two lanes, not four. */
START_TEST(lanes_grow_with_what_waits_and_join_the_link)
{
    const char *const args[] = {"--filter=delay", "memory", "4M", "rdelay=10ms", NULL};
    pthread_t threads[NR_THREADS];

    nbdkit_server_init(&server);
    nbdkit_server_start(&server, args);
    connect_for(1, 4);
    ck_assert_uint_eq(status().lanes, 1);
    start_threads(threads, read_some);
    ck_assert_int_eq(join_threads(threads), 0);
    ck_assert_uint_eq(status().lanes, 2);
    ck_assert_uint_eq(status().reconnects, 0);
    close_all();
}
END_TEST

SUITE("channel_grow") = {
    CASE("channel_grow"),
    TEST(a_link_begins_with_a_lane_for_each_client_up_to_the_most),
    TEST(a_rest_lets_the_lanes_go_until_the_next_request),
    TEST(a_channel_with_a_request_on_its_way_does_not_rest),
    TEST(lanes_grow_with_what_waits_and_join_the_link),
};
