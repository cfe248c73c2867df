/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of requests without an answer when their connection is lost. Versions of
 * libnbd differ: nbd_close() calls the completion callbacks of what is in flight (1.22)
 * or does not (1.14). Its documentation promises that each is called once if the
 * command was accepted, perhaps before the function that began it returns, and never
 * after nbd_close(). So libnbd is made to do all that here, whatever the version. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

#include <check.h>
#include <libnbd.h>

#include "../mute_server.h"
#include "../nbdkit_server.h"
#include "clock.h"
#include "nbd_request.h"
#include "suite.h"

#define NR_READERS 4
#define MAX_COMMANDS 64

static struct nbdkit_server server;
static struct mute_server mute;
static struct nbd_shared *share;

/* Of commands that libnbd has accepted. Used under the lock of the share. */
static struct command {
    nbd_completion_callback callback;
    bool is_open;
} commands[MAX_COMMANDS];
static unsigned nr_commands;

static enum { TELLS_NOBODY, TELLS_EVERY_OTHER, TELLS_ALL } at_close;
#define NR_AT_CLOSE 3

static enum { AS_USUAL, AT_ONCE, AT_ONCE_AND_FAILS, ONLY_FAILS } at_issue;

static int
tell(struct command *c, int error)
{
    if (!c->is_open) {
        return 1;
    }
    c->is_open = false;
    return c->callback.callback(c->callback.user_data, &error);
}

static int
on_completion(void *opaque, int *error)
{
    return tell(opaque, *error);
}

/* In place of libnbd's, for the code under test. */
int64_t
nbd_aio_pread(struct nbd_handle *h, void *buf, size_t count, uint64_t off,
              nbd_completion_callback callback, uint32_t flags)
{
    struct command *c = &commands[nr_commands++];
    int64_t (*real)(struct nbd_handle *, void *, size_t, uint64_t,
                    nbd_completion_callback, uint32_t);

    ck_assert_uint_le(nr_commands, MAX_COMMANDS);
    c->callback = callback;
    c->is_open = true;
    if (at_issue == AT_ONCE || at_issue == AT_ONCE_AND_FAILS) {
        ck_assert_int_eq(tell(c, EIO), 1);
    }
    if (at_issue != AS_USUAL) {
        c->is_open = false;
        return at_issue == AT_ONCE ? 1 : -1;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "nbd_aio_pread");
    callback.callback = on_completion;
    callback.user_data = c;
    return real(h, buf, count, off, callback, flags);
}

void
nbd_close(struct nbd_handle *h)
{
    void (*real)(struct nbd_handle *);

    for (unsigned i = 0; i < nr_commands; i++) {
        if (at_close == TELLS_ALL || (at_close == TELLS_EVERY_OTHER && i % 2 == 0)) {
            (void)tell(&commands[i], ENOTCONN);
        }
        commands[i].is_open = false;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "nbd_close");
    real(h);
}

static int
read_block(uint64_t deadline_ns)
{
    char buf[512];
    const struct req rq = {
        .op = REQ_READ, .buf = buf, .len = sizeof buf, .deadline_ns = deadline_ns};

    return nbd_request_submit(share, &rq);
}

static void *
read_until_lost(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)read_block(0);
}

static void
open_share(void)
{
    const struct nbd_conn_opts o = {.address = server.address,
                                    .export_name = "any",
                                    .cancel_fd = -1,
                                    .deadline_ns = CLOCK_NEVER};

    at_issue = AS_USUAL;
    nr_commands = 0;
    mute_server_start(&mute, &server);
    ck_assert_int_eq(nbd_shared_open(&o, NULL, &share), 0);
}

static void
close_all(void)
{
    nbd_shared_close(share); /* by now nobody's request is known to libnbd */
    mute_server_done(&mute);
    nbdkit_server_done(&server);
}

static void
shut_down(void)
{
    nbd_shared_shutdown(share);
}

static void
miss_a_deadline(void)
{
    ck_assert_int_eq(read_block(clock_deadline_ns(10 * NS_PER_MS)), -ENOTCONN);
}

static void
kill_the_server(void)
{
    nbdkit_server_kill(&server);
}

static void (*const ways[])(void) = {shut_down, miss_a_deadline, kill_the_server};
#define NR_WAYS 3

/* They leave, and with them the memory of their requests, before the share is closed.
 */
START_TEST(requests_of_a_lost_connection_end_once_whatever_closing_does)
{
    pthread_t readers[NR_READERS];

    at_close = _i / NR_WAYS;
    open_share();
    for (unsigned i = 0; i < NR_READERS; i++) {
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_until_lost, NULL), 0);
    }
    mute_server_wait(&mute, NR_READERS);
    ways[_i % NR_WAYS]();
    for (unsigned i = 0; i < NR_READERS; i++) {
        void *result;

        pthread_join(readers[i], &result);
        ck_assert_int_eq((int)(intptr_t)result, -ENOTCONN);
    }
    ck_assert(!nbd_shared_is_alive(share));
    ck_assert_int_eq(read_block(0), -ENOTCONN);
    close_all();
}
END_TEST

START_TEST(request_that_is_completed_while_it_is_issued_ends_once)
{
    open_share();
    at_issue = AT_ONCE;
    ck_assert_int_eq(read_block(0), -EIO);
    at_issue = AT_ONCE_AND_FAILS;
    ck_assert_int_eq(read_block(0), -EIO);
    at_issue = ONLY_FAILS;
    ck_assert_int_lt(read_block(0), 0); /* libnbd's last errno is of something else */
    ck_assert(nbd_shared_is_alive(share));
    close_all();
}
END_TEST

SUITE("nbd_drop") = {
    CASE("nbd_drop"),
    TEST(request_that_is_completed_while_it_is_issued_ends_once),
    LOOP(requests_of_a_lost_connection_end_once_whatever_closing_does,
         (NR_AT_CLOSE * NR_WAYS)),
};
