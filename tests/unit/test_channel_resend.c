/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <check.h>

#include "../channel_fixture.h"
#include "../mute_server.h"
#include "clock.h"
#include "lock.h"
#include "port_channel.h"
#include "suite.h"

#define NR_BLOCKS 16U /* of every thread */
#define NR_KILLS 20

/* What the threads of the stress test have done; the main thread waits for progress. */
static struct progress {
    struct lk lock; /* leaf */
    struct cv changed;
    uint64_t nr_rounds;
    bool is_over;
} progress;

static bool
count_round(void)
{
    LK_GUARD(&progress.lock);

    progress.nr_rounds++;
    cv_signal(&progress.changed);
    return !progress.is_over;
}

static void
wait_for_rounds(uint64_t nr)
{
    LK_GUARD(&progress.lock);
    uint64_t goal = progress.nr_rounds + nr;

    while (progress.nr_rounds < goal) {
        ck_assert_int_eq(cv_wait_until(&progress.changed, &progress.lock,
                                       clock_deadline_ns(30 * NS_PER_S)),
                         0);
    }
}

static void
end_rounds(void)
{
    LK_GUARD(&progress.lock);

    progress.is_over = true;
}

static void
stamp(uint64_t *block, uint64_t me, uint64_t round)
{
    for (unsigned i = 0; i < BLOCK / 8; i++) {
        block[i] = me << 56 | round << 16 | i;
    }
}

static bool
holds(uint64_t me, uint64_t round, uint64_t off)
{
    uint64_t expected[BLOCK / 8], found[BLOCK / 8];

    stamp(expected, me, round);
    return do_io(REQ_READ, found, off, BLOCK) == 0 &&
           memcmp(found, expected, BLOCK) == 0;
}

/* Write own blocks in turn, read them back; at the end look at all of them once more.
 */
static void *
stamp_until_over(void *opaque)
{
    uint64_t me = (uint64_t)(uintptr_t)opaque, last[NR_BLOCKS] = {0}, round = 0;
    uint64_t block[BLOCK / 8];
    bool is_good = true;

    do {
        uint64_t nr = round++ % NR_BLOCKS, off = (nr * NR_THREADS + me) * BLOCK;

        stamp(block, me, round);
        last[nr] = round;
        is_good = is_good && do_io(REQ_WRITE, block, off, BLOCK) == 0 &&
                  holds(me, round, off) &&
                  (nr != 0 || do_io(REQ_FLUSH, NULL, 0, 0) == 0);
    } while (count_round());
    for (uint64_t nr = 0; nr < NR_BLOCKS && nr < round; nr++) {
        is_good = is_good && holds(me, last[nr], (nr * NR_THREADS + me) * BLOCK);
    }
    return is_good ? NULL : (void *)1;
}

START_TEST(owner_may_be_killed_at_any_time_and_no_request_notices)
{
    pthread_t threads[NR_THREADS];
    struct port_channel_status status;

    lk_init(&progress.lock);
    cv_init(&progress.changed);
    nbdkit_server_init(&server);
    new_channel(2, server.address, NULL);
    start_threads(threads, stamp_until_over);
    for (int i = 0; i < NR_KILLS; i++) {
        start_file_server();
        wait_for_rounds(40);
        nbdkit_server_kill(&server);
    }
    start_file_server();
    end_rounds();
    ck_assert_int_eq(join_threads(threads), 0);
    port_channel_status(port, &status);
    ck_assert_uint_ge(status.reconnects, NR_KILLS);
    ck_assert_uint_eq(status.unacknowledged, 0);
    close_all();
}
END_TEST

/* An owner that answers the first reads with NBD_ESHUTDOWN. */
static void
start_leaving_owner(void)
{
    char pread[256];
    const char *const args[] = {"eval",
                                "get_size=echo 4194304",
                                "can_write=exit 0",
                                "can_flush=exit 0",
                                "pwrite=exit 1",
                                pread,
                                NULL};

    nbdkit_server_init(&server);
    snprintf(pread, sizeof pread,
             "pread=for i in 1 2 3 4 5 6; do mkdir %s/$i 2>/dev/null && "
             "echo ESHUTDOWN >&2 && exit 1; done; head -c $3 /dev/zero",
             server.dir);
    nbdkit_server_start(&server, args);
}

static void
done_leaving_owner(void)
{
    char path[80];

    for (int i = 1; i <= 6; i++) {
        snprintf(path, sizeof path, "%s/%d", server.dir, i);
        ck_assert_int_eq(rmdir(path), 0);
    }
}

START_TEST(shutdown_answer_is_retried_over_a_new_link_with_back_off)
{
    struct port_channel_status status;
    uint64_t start = clock_now_ns();
    char buf[512] = "x";

    start_leaving_owner();
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(do_io(REQ_READ, buf, 0, sizeof buf), 0);
    ck_assert_int_eq(buf[0], 0);
    port_channel_status(port, &status);
    ck_assert_uint_eq(status.reconnects, 6);
    ck_assert_uint_ge(clock_now_ns() - start,
                      (10 + 20 + 40 + 80 + 160 + 160) * NS_PER_MS);
    done_leaving_owner();
    close_all();
}
END_TEST

static void *
read_succeeds(void *opaque)
{
    char buf[512];

    (void)opaque;
    return do_io(REQ_READ, buf, 0, sizeof buf) == 0 ? NULL : (void *)1;
}

/* The first read of the beginning is never answered, the first read of something else
 * is refused. */
static void
start_half_mute_owner(struct mute_server *m)
{
    char pread[512];
    const char *const args[] = {"eval",
                                "thread_model=echo parallel",
                                "get_size=echo 4194304",
                                "can_write=exit 0",
                                "can_flush=exit 0",
                                "can_multi_conn=exit 0",
                                "pwrite=exit 1",
                                pread,
                                NULL};

    mute_server_init(m, &server);
    snprintf(pread, sizeof pread,
             "pread=if mkdir %s/$4 2>/dev/null; then if [ $4 = 0 ]; then "
             "printf r > %s; cat %s; else echo ESHUTDOWN >&2; exit 1; fi; fi; "
             "head -c $3 /dev/zero",
             server.dir, m->started, m->hang);
    nbdkit_server_start(&server, args);
}

START_TEST(refusal_on_one_lane_has_the_requests_of_the_others_sent_again)
{
    pthread_t threads[NR_THREADS];
    struct mute_server owner;
    char buf[512], path[80];

    start_half_mute_owner(&owner);
    new_channel(2, server.address, NULL);
    start_threads(threads, read_succeeds); /* all but one are answered */
    mute_server_wait(&owner, 1);
    ck_assert_int_eq(do_io(REQ_READ, buf, 512, sizeof buf), 0);
    ck_assert_int_eq(join_threads(threads), 0);
    mute_server_done(&owner);
    snprintf(path, sizeof path, "%s/0", server.dir);
    ck_assert_int_eq(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/512", server.dir);
    ck_assert_int_eq(rmdir(path), 0);
    close_all();
}
END_TEST

struct counting_sink {
    struct extent_sink sink;
    uint64_t next;
    int rc;
};

static int
count_extent(struct extent_sink *s, uint64_t off, uint64_t len, uint32_t type)
{
    struct counting_sink *c = (struct counting_sink *)s;

    (void)type;
    ck_assert_uint_eq(off, c->next);
    ck_assert(len > 0 && len <= 4 * MIB);
    c->next += len;
    return c->rc;
}

START_TEST(error_of_a_sink_ends_the_request_whatever_it_is)
{
    struct counting_sink sink = {.sink.add = count_extent, .rc = -ENOTCONN};
    const struct req rq = {.op = REQ_EXTENTS, .len = BLOCK, .extents = &sink.sink};

    nbdkit_server_memory(&server, "4M");
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(port_submit(port, &rq), -ENOTCONN);
    close_all();
}
END_TEST

/* An owner that describes 0.5 MiB at a time, once says NBD_ESHUTDOWN when asked beyond
 * the first MiB, and from then on describes 1.5 MiB at a time. */
static void
start_forgetful_owner(void)
{
    char extents[512];
    const char *const args[] = {"eval",
                                "get_size=echo 4194304",
                                "can_write=exit 0",
                                "can_flush=exit 0",
                                "can_extents=exit 0",
                                "pwrite=exit 1",
                                "pread=exit 1",
                                extents,
                                NULL};

    nbdkit_server_init(&server);
    snprintf(extents, sizeof extents,
             "extents=if [ $4 -ge 1048576 ] && mkdir %s/1 2>/dev/null; then "
             "echo ESHUTDOWN >&2; exit 1; fi; "
             "echo $4 524288; [ ! -e %s/1 ] || echo $(($4 + 524288)) 1048576 hole",
             server.dir, server.dir);
    nbdkit_server_start(&server, args);
}

START_TEST(extents_go_on_where_the_older_link_ended)
{
    struct counting_sink sink = {.sink.add = count_extent};
    const struct req rq = {.op = REQ_EXTENTS, .len = 4 * MIB, .extents = &sink.sink};
    char path[80];

    start_forgetful_owner();
    snprintf(path, sizeof path, "%s/1", server.dir);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(port_submit(port, &rq), 0);
    ck_assert_uint_eq(sink.next, 4 * MIB);
    ck_assert_int_eq(rmdir(path), 0); /* it was made: the link did end */
    close_all();
}
END_TEST

static _Atomic int write_rc; /* relaxed: read after the thread was joined */

static void *
write_once(void *opaque)
{
    char buf[512] = "w";

    (void)opaque;
    atomic_store_explicit(&write_rc, do_io(REQ_WRITE, buf, 0, sizeof buf),
                          memory_order_relaxed);
    return NULL;
}

/* An owner that is at work on a request when the channel is recalled performs it: sent
 * to the next port too, it would be performed twice, perhaps after a newer one. */
START_TEST(a_recall_takes_the_answers_that_are_on_their_way)
{
    const char *const slow[] = {"--filter=delay", "memory", "4M", "wdelay=300ms", NULL};
    struct port_channel_status status;
    pthread_t thread;

    nbdkit_server_init(&server);
    nbdkit_server_start(&server, slow);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(port_channel_connect(port, clock_deadline_ns(10 * NS_PER_S), NULL),
                     0);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_once, NULL), 0);
    do {
        port_channel_status(port, &status);
    } while (status.unacknowledged == 0); /* the thread gets there by itself */
    port_channel_recall(port);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(atomic_load_explicit(&write_rc, memory_order_relaxed), 0);
    close_all();
}
END_TEST

SUITE("channel_resend") = {
    CASE("channel_resend"),
    TEST(owner_may_be_killed_at_any_time_and_no_request_notices),
    TEST(shutdown_answer_is_retried_over_a_new_link_with_back_off),
    TEST(refusal_on_one_lane_has_the_requests_of_the_others_sent_again),
    TEST(error_of_a_sink_ends_the_request_whatever_it_is),
    TEST(a_recall_takes_the_answers_that_are_on_their_way),
    TEST(extents_go_on_where_the_older_link_ended),
};
