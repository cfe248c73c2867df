/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <check.h>

#include "../mute_server.h"
#include "../nbdkit_server.h"
#include "clock.h"
#include "err.h"
#include "nbd_request.h"
#include "suite.h"

#define NR_THREADS 8

static struct nbdkit_server server;
static struct nbd_shared *share;

static int
open_at(const char *address, uint64_t deadline_ns, int cancel_fd, struct err *e)
{
    const struct nbd_conn_opts o = {.address = address,
                                    .export_name = "any",
                                    .cancel_fd = cancel_fd,
                                    .deadline_ns = deadline_ns,
                                    .dead_after_ms = 5000};

    return nbd_shared_open(&o, e, &share);
}

static int
read_block(void)
{
    char buf[512];
    const struct req rq = {.op = REQ_READ, .buf = buf, .len = sizeof buf};

    return nbd_request_submit(share, &rq);
}

static void
close_all(void)
{
    nbd_shared_close(share);
    share = NULL;
    nbdkit_server_done(&server);
}

static const char *const bad_addresses[] = {"tcp:",
                                            "tcp:127.0.0.1",
                                            "tcp:127.0.0.1:",
                                            "tcp::10809",
                                            "vsock:1",
                                            "vsock:one:10809",
                                            "vsock:1:two",
                                            "vsock:-1:1",
                                            "vsock:4294967296:1",
                                            "unix:x",
                                            "/x",
                                            "nbd+unix:///?socket=/x"};
#define NR_BAD_ADDRESSES ((int)(sizeof bad_addresses / sizeof bad_addresses[0]))

START_TEST(address_of_another_form_is_refused_by_name)
{
    struct err e = {""};

    ck_assert_int_eq(open_at(bad_addresses[_i], CLOCK_NEVER, -1, &e), -EINVAL);
    ck_assert_ptr_nonnull(strstr(e.msg, bad_addresses[_i]));
    ck_assert_ptr_null(share);
}
END_TEST

/* Not even where libnbd knows how: that ssh would be a child of ours, with our module
 * preloaded, and closing would have to wait for it. */
START_TEST(uri_that_wants_ssh_starts_nothing)
{
    const struct nbd_conn_opts o = {.address = "nbd+ssh://127.0.0.1/",
                                    .cancel_fd = -1,
                                    .deadline_ns = clock_deadline_ns(5 * NS_PER_S)};
    const char *old = getenv("PATH");
    char *path, ssh[80];
    bool was_started;
    FILE *f;

    ck_assert_ptr_nonnull(old);
    path = strdup(old); /* setenv() takes the place of it */
    nbdkit_server_init(&server);
    snprintf(ssh, sizeof ssh, "%s/ssh", server.dir);
    f = fopen(ssh, "w");
    fprintf(f, "#!/bin/sh\n: > %s\n", server.file);
    fchmod(fileno(f), 0700);
    fclose(f);
    setenv("PATH", server.dir, 1);
    ck_assert_int_lt(nbd_shared_open(&o, NULL, &share), 0);
    was_started = access(server.file, F_OK) == 0;
    setenv("PATH", path, 1);
    free(path);
    unlink(ssh);
    close_all();
    ck_assert(!was_started);
}
END_TEST

START_TEST(attempt_ends_at_its_deadline)
{
    int fd;

    nbdkit_server_init(&server);
    fd = nbdkit_server_listen(&server);
    ck_assert_int_eq(
        open_at(server.address, clock_deadline_ns(10 * NS_PER_MS), -1, NULL),
        -ETIMEDOUT);
    close(fd);
    close_all();
}
END_TEST

START_TEST(attempt_ends_when_it_is_cancelled)
{
    int fd, cancel_fd = eventfd(1, EFD_CLOEXEC);

    nbdkit_server_init(&server);
    fd = nbdkit_server_listen(&server);
    ck_assert_int_eq(open_at(server.address, CLOCK_NEVER, cancel_fd, NULL), -ECANCELED);
    close(fd);
    close(cancel_fd);
    close_all();
}
END_TEST

static void *
talk_nonsense(void *opaque)
{
    int peer = accept(*(int *)opaque, NULL, NULL);
    static const char nonsense[64] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    ssize_t n = write(peer, nonsense, sizeof nonsense);

    close(peer);
    return n == sizeof nonsense ? NULL : (void *)1;
}

START_TEST(server_that_speaks_something_else_is_refused)
{
    pthread_t thread;
    int fd;
    struct err e = {""};

    nbdkit_server_init(&server);
    fd = nbdkit_server_listen(&server);
    ck_assert_int_eq(pthread_create(&thread, NULL, talk_nonsense, &fd), 0);
    ck_assert_int_lt(open_at(server.address, CLOCK_NEVER, -1, &e), 0);
    ck_assert_ptr_nonnull(strstr(e.msg, server.address));
    pthread_join(thread, NULL);
    close(fd);
    close_all();
}
END_TEST

START_TEST(tcp_address_connects)
{
    const char *const args[] = {"memory", "4M", NULL};
    char address[32];

    nbdkit_server_init(&server);
    snprintf(address, sizeof address, "tcp:127.0.0.1:%u",
             nbdkit_server_start_tcp(&server, args));
    ck_assert_int_eq(open_at(address, CLOCK_NEVER, -1, NULL), 0);
    ck_assert_int_eq(read_block(), 0);
    close_all();
}
END_TEST

START_TEST(connection_that_is_shut_down_says_so_to_everybody)
{
    nbdkit_server_memory(&server, "4M");
    ck_assert_int_eq(open_at(server.address, CLOCK_NEVER, -1, NULL), 0);
    ck_assert(nbd_shared_is_alive(share));
    ck_assert_int_eq(read_block(), 0);
    nbd_shared_shutdown(share);
    nbd_shared_shutdown(share);
    ck_assert(!nbd_shared_is_alive(share));
    ck_assert_int_eq(read_block(), -ENOTCONN);
    close_all();
}
END_TEST

START_TEST(idle_connection_notices_the_death_of_its_server)
{
    nbdkit_server_memory(&server, "4M");
    ck_assert_int_eq(open_at(server.address, CLOCK_NEVER, -1, NULL), 0);
    nbdkit_server_kill(&server);
    ck_assert(!nbd_shared_is_alive(share));
    ck_assert_int_eq(read_block(), -ENOTCONN);
    close_all();
}
END_TEST

static void *
read_until_lost(void *opaque)
{
    int rc;

    (void)opaque;
    do {
        rc = read_block();
    } while (rc == 0);
    return rc == -ENOTCONN ? NULL : (void *)1;
}

START_TEST(shutdown_ends_the_requests_of_all_threads)
{
    pthread_t threads[NR_THREADS];
    void *result;

    nbdkit_server_memory(&server, "4M");
    ck_assert_int_eq(open_at(server.address, CLOCK_NEVER, -1, NULL), 0);
    for (unsigned i = 0; i < NR_THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_until_lost, NULL), 0);
    }
    ck_assert_int_eq(read_block(), 0);
    nbd_shared_shutdown(share);
    for (unsigned i = 0; i < NR_THREADS; i++) {
        pthread_join(threads[i], &result);
        ck_assert_ptr_null(result);
    }
    close_all();
}
END_TEST

/* More than a socket holds, both ways at once: the driver has to wait for room too. */
static void *
write_and_read_big(void *opaque)
{
    const uint32_t len = UINT32_C(4) << 20;
    uint64_t off = (uint64_t)(uintptr_t)opaque * len;
    char *out = malloc(len), *in = calloc(1, len);
    struct req rq = {.op = REQ_WRITE, .buf = out, .off = off, .len = len};
    bool is_good;

    memset(out, (int)(uintptr_t)opaque + 1, len);
    is_good = nbd_request_submit(share, &rq) == 0;
    rq.op = REQ_READ;
    rq.buf = in;
    is_good =
        is_good && nbd_request_submit(share, &rq) == 0 && memcmp(in, out, len) == 0;
    free(in);
    free(out);
    return is_good ? NULL : (void *)1;
}

START_TEST(payloads_that_fill_the_socket_pass_each_other)
{
    pthread_t threads[NR_THREADS];
    void *result;

    nbdkit_server_memory(&server, "32M");
    ck_assert_int_eq(open_at(server.address, CLOCK_NEVER, -1, NULL), 0);
    for (uintptr_t i = 0; i < NR_THREADS; i++) {
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, write_and_read_big, (void *)i), 0);
    }
    for (unsigned i = 0; i < NR_THREADS; i++) {
        pthread_join(threads[i], &result);
        ck_assert_ptr_null(result);
    }
    close_all();
}
END_TEST

START_TEST(driver_makes_room_for_a_payload_that_another_thread_sends)
{
    const uint32_t len = UINT32_C(4) << 20;
    char *buf = calloc(1, len);
    const struct req rq = {.op = REQ_WRITE, .buf = buf, .len = len};
    struct mute_server mute;
    pthread_t driver;

    mute_server_start(&mute, &server);
    ck_assert_int_eq(open_at(server.address, CLOCK_NEVER, -1, NULL), 0);
    ck_assert_int_eq(pthread_create(&driver, NULL, read_until_lost, NULL), 0);
    mute_server_wait(&mute, 1); /* it drives now, and waits for input only */
    ck_assert_int_eq(nbd_request_submit(share, &rq), 0);
    nbd_shared_shutdown(share);
    pthread_join(driver, NULL);
    mute_server_done(&mute);
    free(buf);
    close_all();
}
END_TEST

SUITE("nbd_conn") = {
    CASE("nbd_conn"),
    LOOP(address_of_another_form_is_refused_by_name, NR_BAD_ADDRESSES),
    TEST(uri_that_wants_ssh_starts_nothing),
    TEST(attempt_ends_at_its_deadline),
    TEST(attempt_ends_when_it_is_cancelled),
    TEST(server_that_speaks_something_else_is_refused),
    TEST(tcp_address_connects),
    TEST(connection_that_is_shut_down_says_so_to_everybody),
    TEST(idle_connection_notices_the_death_of_its_server),
    TEST(shutdown_ends_the_requests_of_all_threads),
    TEST(payloads_that_fill_the_socket_pass_each_other),
    TEST(driver_makes_room_for_a_payload_that_another_thread_sends),
};
