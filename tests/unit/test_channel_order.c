/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions that end while something is sent again, and requests that overlap. */
#include <errno.h>
#include <pthread.h>

#include <check.h>

#include "../channel_fixture.h"
#include "../kept_owner.h"
#include "../mute_server.h"
#include "clock.h"
#include "port_channel.h"
#include "suite.h"

#define M1 "baton-owner;instance=m1;epoch=2;flushed-by=-"
#define M2 "baton-owner;instance=m2;epoch=2;flushed-by=-"
#define M3 "baton-owner;instance=m3;epoch=2;flushed-by=-"

/* An owner whose writes do what the script says, its other requests nothing. */
static void
start_script(const char *statement, const char *pwrite)
{
    char desc[256], text[512];
    const char *const args[] = {"--filter=exportname",
                                "eval",
                                desc,
                                "thread_model=echo parallel",
                                "get_size=echo 4194304",
                                "can_write=exit 0",
                                "can_flush=exit 0",
                                "can_multi_conn=exit 0",
                                "flush=exit 0",
                                "pread=head -c $3 /dev/zero",
                                text,
                                NULL};

    (void)snprintf(desc, sizeof desc, "exportdesc=fixed:%s", statement);
    (void)snprintf(text, sizeof text, "pwrite=%s", pwrite);
    nbdkit_server_start(&server, args);
}

START_TEST(resending_that_was_interrupted_begins_again_at_another_instance)
{
    char script[256], made[80];

    kept_begin();
    start_m(M1);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(put('a', 0, 512), 0);
    ck_assert_int_eq(put('b', 512, 512), 0);
    lose_machine();
    (void)snprintf(made, sizeof made, "%s/made", server.dir);
    (void)snprintf(script, sizeof script, "cat >/dev/null; mkdir %s || kill -9 $PPID",
                   made);
    start_script(M2, script); /* dies of the second */
    ck_assert_int_lt(port_channel_connect(port, clock_deadline_ns(10 * NS_PER_S), NULL),
                     0);
    ck_assert_uint_eq(nr_kept(), 2);
    ck_assert_int_eq(rmdir(made), 0);
    nbdkit_server_kill(&server);
    start_m(M3);
    ck_assert_int_eq(put('c', 1024, 512), 0);
    ck_assert_int_eq(in_file(0), 'a');
    ck_assert_int_eq(in_file(512), 'b');
    kept_end();
}
END_TEST

static void *
read_is_stale(void *opaque)
{
    char buf[512];

    (void)opaque;
    return do_io(REQ_READ, buf, 0, sizeof buf) == -ESTALE ? NULL : (void *)1;
}

START_TEST(recall_ends_the_resending_and_waits_for_it)
{
    struct mute_server m;
    pthread_t thread;
    void *failed;
    char script[256];

    kept_begin();
    start_m(M1);
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(put('a', 0, 512), 0);
    lose_machine();
    mute_server_pipes(&m, &server);
    (void)snprintf(script, sizeof script, "printf r >%s; cat %s >/dev/null; exit 1",
                   m.started, m.hang);
    start_script(M2, script);
    ck_assert_int_eq(pthread_create(&thread, NULL, read_is_stale, NULL), 0);
    mute_server_wait(&m, 1);
    port_channel_recall(port);
    pthread_join(thread, &failed);
    ck_assert_ptr_null(failed);
    ck_assert_uint_eq(nr_kept(), 1); /* whoever is the owner next is sent it */
    mute_server_done(&m);
    kept_end();
}
END_TEST

static void *
write_letter(void *opaque)
{
    return put((char)(uintptr_t)opaque, 0, 512) == 0 ? NULL : (void *)1;
}

/* Wait until so many requests have no answer. */
static void
await_unacknowledged(unsigned nr)
{
    struct port_channel_status status;

    do {
        port_channel_status(port, &status);
    } while (status.unacknowledged < nr); /* the thread gets there by itself */
}

static void *
write_elsewhere(void *unused)
{
    (void)unused;
    return put('9', 4096, 512) == 0 ? NULL : (void *)1;
}

/* The owner performs '1' and dies before its answer; '2', to the same place, came
 * meanwhile. Answered, it would be overwritten by '1' when that is sent again. That '9'
 * was performed says that '2' would have been: the channel has one connection. */
START_TEST(a_change_is_not_sent_before_an_older_one_of_the_same_bytes_is_answered)
{
    struct mute_server m;
    pthread_t first, second, elsewhere;
    char script[400], path[80], order[8] = "";
    void *failed;
    FILE *f;

    kept_begin();
    mute_server_pipes(&m, &server);
    (void)snprintf(path, sizeof path, "%s/order", server.dir);
    (void)snprintf(script, sizeof script,
                   "c=$(head -c 1); cat >/dev/null; [ $c = 9 ] || printf $c >>%s; "
                   "[ $c = 2 ] || printf r >%s; [ $c != 1 ] || exec cat %s",
                   path, m.started, m.hang);
    start_script(M1, script);
    policy.durability = CHANNEL_OWNER;
    new_channel(1, server.address, NULL);
    ck_assert_int_eq(pthread_create(&first, NULL, write_letter, (void *)'1'), 0);
    mute_server_wait(&m, 1);
    ck_assert_int_eq(pthread_create(&second, NULL, write_letter, (void *)'2'), 0);
    await_unacknowledged(2);
    ck_assert_int_eq(pthread_create(&elsewhere, NULL, write_elsewhere, NULL), 0);
    mute_server_wait(&m, 1);
    nbdkit_server_kill(&server);
    (void)snprintf(script, sizeof script,
                   "c=$(head -c 1); cat >/dev/null; [ $c = 9 ] || printf $c >>%s",
                   path);
    start_script(M1, script);
    pthread_join(first, &failed);
    ck_assert_ptr_null(failed);
    pthread_join(second, &failed);
    ck_assert_ptr_null(failed);
    pthread_join(elsewhere, &failed);
    ck_assert_ptr_null(failed);
    f = fopen(path, "re");
    ck_assert_ptr_nonnull(fgets(order, sizeof order, f));
    (void)fclose(f);
    ck_assert_str_eq(order, "112");
    (void)unlink(path);
    mute_server_done(&m);
    kept_end();
}
END_TEST

/* Changes that newer ones are, and what '1' is where they have replaced it. */
static const struct {
    enum req_op op;
    uint32_t flags;
    char leaves;
} newer[] = {
    {REQ_WRITE, 0, '2'},      {REQ_WRITE, REQ_F_FUA, '2'},
    {REQ_ZERO, 0, 0},         {REQ_ZERO, REQ_F_MAY_TRIM | REQ_F_FUA, 0},
    {REQ_TRIM, REQ_F_FUA, 0},
};

static _Atomic bool is_newer_answered;

static void *
make_newer(void *opaque)
{
    uintptr_t i = (uintptr_t)opaque;
    int rc = change(newer[i].op, newer[i].flags, '2', 0, 512);

    atomic_store(&is_newer_answered, true);
    return rc == 0 ? NULL : (void *)1;
}

/* Wait until it is in the channel. */
static void
await_newer(void)
{
    struct port_channel_status status;

    do {
        port_channel_status(port, &status);
    } while (status.unacknowledged < 2 && !atomic_load(&is_newer_answered));
}

/* An owner that does not answer '1' before it is told to. */
static void
start_slow_owner(const struct mute_server *m)
{
    char script[400];

    (void)snprintf(script, sizeof script,
                   "c=$(head -c 1 | tr '\\0' 0); cat >/dev/null; case $c in "
                   "1) printf r >%s; head -c 1 %s >/dev/null;; 9) printf r >%s;; esac",
                   m->started, m->hang, m->started);
    start_script(M1, script);
}

/* What is kept is in the order of the answers, and a durable change is kept only if an
 * older one is by then. That is the order of the device, because the newer change is
 * not sent before the older is answered, whichever lanes they go over; else '1' would
 * be sent again over it. */
START_TEST(what_is_kept_is_in_the_order_in_which_the_owner_performed_it)
{
    struct mute_server m;
    pthread_t first, second, elsewhere;
    void *failed;

    kept_begin();
    atomic_store(&is_newer_answered, false);
    mute_server_pipes(&m, &server);
    start_slow_owner(&m);
    new_channel(4, server.address, NULL);
    ck_assert_int_eq(pthread_create(&first, NULL, write_letter, (void *)'1'), 0);
    mute_server_wait(&m, 1);
    ck_assert_int_eq(pthread_create(&second, NULL, make_newer, (void *)(uintptr_t)_i),
                     0);
    await_newer();
    ck_assert_int_eq(pthread_create(&elsewhere, NULL, write_elsewhere, NULL), 0);
    mute_server_wait(&m, 1);
    pthread_join(elsewhere, &failed);
    ck_assert_ptr_null(failed);
    ck_assert(!atomic_load(&is_newer_answered));
    ck_assert_int_eq(write(m.hang_fd, "x", 1), 1);
    pthread_join(first, &failed);
    ck_assert_ptr_null(failed);
    pthread_join(second, &failed);
    ck_assert_ptr_null(failed);
    ck_assert_uint_eq(nr_kept(), 3);
    nbdkit_server_kill(&server);
    start_m(M2);
    ck_assert_int_eq(do_io(REQ_READ, (char[512]){0}, 0, 512), 0);
    ck_assert_int_eq(in_file(0), newer[_i].leaves);
    mute_server_done(&m);
    kept_end();
}
END_TEST

SUITE("channel_order") = {
    CASE("channel_order"),
    TEST(resending_that_was_interrupted_begins_again_at_another_instance),
    TEST(recall_ends_the_resending_and_waits_for_it),
    TEST(a_change_is_not_sent_before_an_older_one_of_the_same_bytes_is_answered),
    CASE("order of what is kept"),
    EACH(what_is_kept_is_in_the_order_in_which_the_owner_performed_it, newer),
};
