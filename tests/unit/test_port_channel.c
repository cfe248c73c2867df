/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <check.h>

#include "../mute_server.h"
#include "../nbdkit_server.h"
#include "clock.h"
#include "err.h"
#include "lock.h"
#include "port_channel.h"

#define MIB (UINT64_C(1) << 20)
#define NR_THREADS 8
#define NR_BLOCKS 16U /* of every thread */
#define BLOCK 4096U
#define NR_KILLS 20
#define ALL_CAPS                                                                       \
    (PORT_CAN_WRITE | PORT_CAN_FLUSH | PORT_CAN_FUA | PORT_CAN_TRIM | PORT_CAN_ZERO |  \
     PORT_CAN_FAST_ZERO | PORT_CAN_EXTENTS | PORT_CAN_CACHE)

static struct nbdkit_server server;
static struct port *port;
static _Atomic uint64_t sessions;

static void
new_channel(unsigned lanes, const char *first, const char *second)
{
    const struct port_channel_opts opts = {.uris = {first, second},
                                           .nr_uris = second != NULL ? 2 : 1,
                                           .lanes = lanes,
                                           .uuid =
                                               "0f3f1c9e-58a2-4f6e-9d4c-7a1f0f6b2c11",
                                           .epoch = 2,
                                           .client = "test",
                                           .session = &sessions,
                                           .info = {.size = 4 * MIB,
                                                    .min_block = 1,
                                                    .pref_block = 4096,
                                                    .max_block = UINT32_MAX,
                                                    .caps = ALL_CAPS}};

    ck_assert_int_eq(port_channel_new(&opts, &port), 0);
}

static void
close_all(void)
{
    port_close(port);
    port = NULL;
    nbdkit_server_done(&server);
}

static int
do_io(enum req_op op, void *buf, uint64_t off, uint32_t len)
{
    const struct req rq = {.op = op, .buf = buf, .off = off, .len = len};

    return port_submit(port, &rq);
}

static void
start_threads(pthread_t *threads, void *(*work)(void *))
{
    for (uintptr_t i = 0; i < NR_THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    }
}

/* How many threads returned something else than NULL. */
static int
join_threads(const pthread_t *threads)
{
    int nr_failed = 0;

    for (unsigned i = 0; i < NR_THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        nr_failed += result != NULL;
    }
    return nr_failed;
}

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

static void
start_file_server(void)
{
    const char *const args[] = {"file", server.file, NULL};

    nbdkit_server_start(&server, args);
}

START_TEST(owner_may_be_killed_at_any_time_and_no_request_notices)
{
    pthread_t threads[NR_THREADS];
    struct port_channel_status status;

    lk_init(&progress.lock);
    cv_init(&progress.changed);
    nbdkit_server_init(&server);
    close(open(server.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ck_assert_int_eq(truncate(server.file, 4 * MIB), 0);
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
    close(open(server.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ck_assert_int_eq(truncate(server.file, 4 * MIB), 0);
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
             "pread=for i in 1 2 3 4 5; do mkdir %s/$i 2>/dev/null && "
             "echo ESHUTDOWN >&2 && exit 1; done; head -c $3 /dev/zero",
             server.dir);
    nbdkit_server_start(&server, args);
}

static void
done_leaving_owner(void)
{
    char path[80];

    for (int i = 1; i <= 5; i++) {
        snprintf(path, sizeof path, "%s/%d", server.dir, i);
        ck_assert_int_eq(rmdir(path), 0);
    }
}

START_TEST(shutdown_answer_is_retried_in_a_new_session_with_back_off)
{
    struct port_channel_status status;
    uint64_t start = clock_now_ns();
    char buf[512] = "x";

    start_leaving_owner();
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(do_io(REQ_READ, buf, 0, sizeof buf), 0);
    ck_assert_int_eq(buf[0], 0);
    port_channel_status(port, &status);
    ck_assert_uint_eq(status.reconnects, 5);
    ck_assert_uint_ge(clock_now_ns() - start, (10 + 20 + 40 + 80 + 160) * NS_PER_MS);
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
             "echo $4 524288; [ ! -e %s/1 ] || echo $(($4 + 524288)) 1048576",
             server.dir, server.dir);
    nbdkit_server_start(&server, args);
}

START_TEST(extents_go_on_where_the_older_session_ended)
{
    struct counting_sink sink = {.sink.add = count_extent};
    const struct req rq = {.op = REQ_EXTENTS, .len = 4 * MIB, .extents = &sink.sink};
    char path[80];

    start_forgetful_owner();
    snprintf(path, sizeof path, "%s/1", server.dir);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(port_submit(port, &rq), 0);
    ck_assert_uint_eq(sink.next, 4 * MIB);
    ck_assert_int_eq(rmdir(path), 0); /* it was made: the session did end */
    close_all();
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("port_channel");
    TCase *t = tcase_create("port_channel");
    SRunner *r = srunner_create(s);
    int nr_failed;

    suite_add_tcase(s, t);
    tcase_add_test(t, owner_may_be_killed_at_any_time_and_no_request_notices);
    tcase_add_test(t, recall_sends_requests_back_that_wait_for_an_answer);
    tcase_add_test(t, recall_sends_requests_back_that_wait_for_an_owner);
    tcase_add_test(t, recall_ends_the_waiting_for_the_next_try);
    tcase_add_test(t, recall_interrupts_a_connect_that_is_never_answered);
    tcase_add_test(t, connect_gives_up_at_its_deadline_and_can_be_tried_again);
    tcase_add_test(t, connect_refuses_an_export_of_another_size);
    tcase_add_test(t, connect_notices_that_an_idle_channel_has_died);
    tcase_add_test(t, next_address_is_tried_when_one_refuses);
    tcase_add_test(t, shutdown_answer_is_retried_in_a_new_session_with_back_off);
    tcase_add_test(t, refusal_on_one_lane_has_the_requests_of_the_others_sent_again);
    tcase_add_test(t, what_a_later_owner_cannot_do_is_made_up_for);
    tcase_add_test(t, error_of_a_sink_ends_the_request_whatever_it_is);
    tcase_add_test(t, extents_go_on_where_the_older_session_ended);
    srunner_run_all(r, CK_NORMAL);
    nr_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return nr_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
