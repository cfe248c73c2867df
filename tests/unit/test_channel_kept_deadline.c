/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept, and requests that are not waited for without end. */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "../channel_fixture.h"
#include "../kept_owner.h"
#include "../mute_server.h"
#include "clock.h"
#include "port_channel.h"
#include "suite.h"

#define LIMIT_NS (2 * NS_PER_S) /* also has to do for connecting, on a busy machine */
#define PATIENCE_NS (10 * NS_PER_S)
#define M1 "baton-owner;instance=m1;epoch=2;flushed-by=-"
#define M2 "baton-owner;instance=m2;epoch=2;flushed-by=-"

static struct mute_server mute;

/* An owner with this statement that answers everything but op. */
static void
start_owner_that_hangs_at(const char *op, const char *statement)
{
    char desc[256], hanging[256];
    const char *const args[] = {"--filter=exportname",
                                "eval",
                                desc,
                                "thread_model=echo parallel",
                                "get_size=echo 4194304",
                                "pread=exit 1",
                                "can_write=exit 0",
                                "can_flush=exit 0",
                                hanging,
                                strcmp(op, "pwrite") == 0 ? "flush=exit 0"
                                                          : "pwrite=cat > /dev/null",
                                NULL};

    mute_server_pipes(&mute, &server);
    (void)snprintf(desc, sizeof desc, "exportdesc=fixed:%s", statement);
    (void)snprintf(hanging, sizeof hanging,
                   "%s=printf r > %s; cat %s > /dev/null; exit 1", op, mute.started,
                   mute.hang);
    nbdkit_server_start(&server, args);
}

static int
put_limited(uint64_t off, uint64_t *ret_took_ns)
{
    char buf[BLOCK] = "b";
    uint64_t began_ns = clock_now_ns();
    const struct req rq = {.op = REQ_WRITE,
                           .buf = buf,
                           .off = off,
                           .len = BLOCK,
                           .deadline_ns = clock_deadline_ns(LIMIT_NS)};
    int rc = port_submit(port, &rq);

    *ret_took_ns = clock_now_ns() - began_ns;
    return rc;
}

static void *
put_without_room(void *opaque)
{
    uint64_t took_ns;
    int rc = put_limited((uintptr_t)opaque * BLOCK, &took_ns);

    return rc == -EIO && took_ns >= LIMIT_NS && took_ns < PATIENCE_NS ? NULL : port;
}

static void *
put_until_recalled(void *opaque)
{
    return put('c', 0, BLOCK) == -ESTALE ? NULL : opaque;
}

START_TEST(writes_that_find_no_room_end_at_their_time)
{
    pthread_t threads[NR_THREADS], flusher;
    uint64_t took_ns;
    void *result;

    kept_begin();
    policy.keep_bytes = BLOCK;
    start_owner_that_hangs_at("flush", M1);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(port_channel_connect(port, clock_deadline_ns(PATIENCE_NS), NULL),
                     0); /* the requests have no time for that */
    ck_assert_int_eq(put_limited(0, &took_ns), 0); /* though nothing is flushed */
    ck_assert_uint_ge(took_ns, LIMIT_NS);
    ck_assert_uint_lt(took_ns, PATIENCE_NS);
    ck_assert_ptr_null(put_without_room(NULL)); /* it flushes itself */
    mute_server_wait(&mute, 2);
    ck_assert_int_eq(pthread_create(&flusher, NULL, put_until_recalled, &took_ns), 0);
    mute_server_wait(&mute, 1);
    start_threads(threads, put_without_room); /* these wait for another's flush */
    ck_assert_int_eq(join_threads(threads), 0);
    ck_assert_uint_eq(nr_kept(), 1);
    port_channel_recall(port);
    ck_assert_int_eq(pthread_join(flusher, &result), 0);
    ck_assert_ptr_null(result);
    mute_server_done(&mute);
    kept_end();
}
END_TEST

START_TEST(what_could_not_be_sent_again_in_time_is_sent_to_the_next)
{
    uint64_t took_ns;

    kept_begin();
    start_m(M1);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(put('a', 0, 512), 0);
    lose_machine();
    start_owner_that_hangs_at("pwrite", M2);
    ck_assert_int_eq(put_limited(BLOCK, &took_ns), -EIO);
    ck_assert_uint_ge(took_ns, LIMIT_NS);
    ck_assert_uint_lt(took_ns, PATIENCE_NS);
    ck_assert_uint_eq(nr_kept(), 1);
    mute_server_wait(&mute, 1); /* it has got what was lost, and only that */
    nbdkit_server_kill(&server);
    mute_server_done(&mute);
    start_m(M2);
    ck_assert_int_eq(put('c', 512, 512), 0);
    ck_assert_int_eq(in_file(0), 'a');
    ck_assert_int_eq(in_file(BLOCK), 0); /* that one was failed */
    ck_assert_int_eq(do_io(REQ_FLUSH, NULL, 0, 0), 0);
    kept_end();
}
END_TEST

SUITE("channel_kept_deadline") = {
    CASE("channel_kept_deadline"),
    TEST(writes_that_find_no_room_end_at_their_time),
    TEST(what_could_not_be_sent_again_in_time_is_sent_to_the_next),
};
