/* SPDX-License-Identifier: BSD-3-Clause */
/* A device that is an NBD server, and its end: reconnects. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <check.h>

#include "../nbd_rig.h"
#include "clock.h"
#include "err.h"
#include "lock.h"
#include "port_nbd.h"
#include "suite.h"

static _Atomic unsigned nr_told_lost, nr_told_back;
static char told_last[1200];
static struct lk told_lock; /* guards it */
static struct cv told_more;

static void
told(void *opaque, const char *text)
{
    (void)opaque;
    LK_GUARD(&told_lock);

    nr_told_lost += text != NULL;
    nr_told_back += text == NULL;
    (void)snprintf(told_last, sizeof told_last, "%s", text != NULL ? text : "");
    cv_broadcast(&told_more);
}

/* Wait until what was told last contains this. */
static void
await_told(const char *fragment)
{
    uint64_t deadline_ns = clock_deadline_ns(20 * NS_PER_S);
    LK_GUARD(&told_lock);

    while (strstr(told_last, fragment) == NULL) {
        ck_assert_msg(cv_wait_until(&told_more, &told_lock, deadline_ns) == 0,
                      "told: %s", told_last);
    }
}

static void
close_lasting(void)
{
    close_all();
    cv_done(&told_more);
    lk_done(&told_lock);
}

/* A server over server.file, which outlives it, and a port that waits for it. */
static void
open_lasting(const char *filter, const char *first, const char *second)
{
    const char *const args[] = {filter, "file", server.file, first, second, NULL};
    struct err e = {""};
    int fd, rc;

    lk_init(&told_lock);
    cv_init(&told_more);
    nbdkit_server_init(&server);
    fd = open(server.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_eq(ftruncate(fd, 4 * MIB), 0);
    close(fd);
    nbdkit_server_start(&server, args);
    nr_told_lost = nr_told_back = 0;
    told_last[0] = '\0';
    rc = port_nbd_open(
        &(struct port_nbd_opts){
            .uri = server.uri, .connections = 2, .reconnects = true, .told = told},
        &e, &port);
    ck_assert_msg(rc == 0, "%s", err_text(&e, rc));
}

static void
start_file_server(void)
{
    const char *const args[] = {"file", server.file, NULL};

    nbdkit_server_start(&server, args);
}

static void *
write_b(void *opaque)
{
    char buf[BLOCK];
    const struct req rq = {.op = REQ_WRITE, .off = BLOCK, .len = BLOCK, .buf = buf};

    (void)opaque;
    memset(buf, 'b', sizeof buf);
    return port_submit(port, &rq) == 0 ? NULL : (void *)1;
}

START_TEST(port_that_reconnects_goes_on_when_its_server_is_back)
{
    char buf[BLOCK];
    pthread_t thread;
    void *result;

    open_lasting("--filter=delay", "delay-write=300ms", NULL);
    memset(buf, 'a', sizeof buf);
    ck_assert_int_eq(do_io(REQ_WRITE, buf, 0, BLOCK), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_b, NULL), 0);
    nbdkit_server_kill(&server);
    await_told("gone");
    start_file_server();
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_null(result);
    ck_assert_int_eq(do_io(REQ_READ, buf, BLOCK, BLOCK), 0);
    ck_assert_int_eq(buf[17], 'b');
    ck_assert_int_eq(do_io(REQ_READ, buf, 0, BLOCK), 0);
    ck_assert_int_eq(buf[17], 'a');
    ck_assert_uint_eq(nr_told_back, 1);
    close_lasting();
}
END_TEST

/* Its last writes may be performed later, over what a new connection was answered. */
START_TEST(port_does_not_reconnect_while_the_process_it_lost_lives)
{
    struct nbdkit_server hung;
    pthread_t thread;
    void *result;

    open_lasting("--filter=error", "error-pwrite=ESHUTDOWN", "error-pwrite-rate=1");
    hung = server;
    server.pid = 0;
    start_file_server(); /* another one, at the same address */
    ck_assert_int_eq(pthread_create(&thread, NULL, write_b, NULL), 0);
    await_told("has not ended");
    ck_assert_uint_eq(nr_told_back, 0);
    nbdkit_server_kill(&hung);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_null(result);
    ck_assert_uint_eq(nr_told_back, 1);
    close_lasting();
}
END_TEST

START_TEST(port_does_not_go_on_with_a_device_that_has_shrunk)
{
    pthread_t thread;
    void *result;

    open_lasting("--filter=nofilter", NULL, NULL);
    nbdkit_server_kill(&server);
    ck_assert_int_eq(truncate(server.file, 2 * MIB), 0);
    start_file_server();
    ck_assert_int_eq(pthread_create(&thread, NULL, write_b, NULL), 0);
    await_told("the size is");
    nbdkit_server_kill(&server);
    ck_assert_int_eq(truncate(server.file, 4 * MIB), 0);
    start_file_server();
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_null(result);
    close_lasting();
}
END_TEST

static void *
zero_b(void *opaque)
{
    const struct req rq = {.op = REQ_ZERO, .off = BLOCK, .len = BLOCK};

    (void)opaque;
    return port_submit(port, &rq) == 0 ? NULL : (void *)1;
}

/* What is promised natively is sent as it is, and nobody makes up for it any more. */
START_TEST(port_does_not_go_on_with_a_server_that_can_do_less)
{
    const char *const less[] = {"--filter=nozero", "file", server.file, "zeromode=none",
                                NULL};
    pthread_t thread;
    void *result;

    open_lasting("--filter=nofilter", NULL, NULL);
    nbdkit_server_kill(&server);
    nbdkit_server_start(&server, less);
    ck_assert_int_eq(pthread_create(&thread, NULL, zero_b, NULL), 0);
    await_told("no longer offers");
    nbdkit_server_kill(&server);
    start_file_server();
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_null(result);
    close_lasting();
}
END_TEST

START_TEST(request_that_waits_for_the_server_ends_at_its_time)
{
    char buf[512];
    struct req rq = {.op = REQ_READ, .len = sizeof buf, .buf = buf};

    open_lasting("--filter=nofilter", NULL, NULL);
    nbdkit_server_kill(&server);
    rq.deadline_ns = clock_deadline_ns(200 * NS_PER_MS);
    ck_assert_int_eq(port_submit(port, &rq), -EIO);
    ck_assert(clock_now_ns() >= rq.deadline_ns);
    start_file_server();
    ck_assert_int_eq(do_io(REQ_READ, buf, 0, 512), 0);
    close_lasting();
}
END_TEST

/* Nothing is lost by it: what the server had acknowledged outlives it. */
START_TEST(flush_that_ends_at_its_time_fails_no_later_one)
{
    char buf[BLOCK] = "";
    struct req rq = {.op = REQ_FLUSH};

    open_lasting("--filter=nofilter", NULL, NULL);
    ck_assert_int_eq(do_io(REQ_WRITE, buf, 0, BLOCK), 0);
    nbdkit_server_kill(&server);
    rq.deadline_ns = clock_deadline_ns(100 * NS_PER_MS);
    ck_assert_int_eq(port_submit(port, &rq), -EIO);
    start_file_server();
    ck_assert_int_eq(do_io(REQ_WRITE, buf, 0, BLOCK), 0);
    ck_assert_int_eq(do_io(REQ_FLUSH, NULL, 0, 0), 0);
    close_lasting();
}
END_TEST

START_TEST(idle_port_notices_that_its_server_is_gone)
{
    open_lasting("--filter=nofilter", NULL, NULL);
    port_nbd_look(port);
    ck_assert_uint_eq(nr_told_lost, 0);
    nbdkit_server_kill(&server);
    port_nbd_look(port);
    port_nbd_look(port);
    ck_assert_uint_eq(nr_told_lost, 1);
    close_lasting();
}
END_TEST

SUITE("port_nbd_lasting") = {
    CASE("port_nbd_lasting"),
    TEST(port_that_reconnects_goes_on_when_its_server_is_back),
    TEST(port_does_not_reconnect_while_the_process_it_lost_lives),
    TEST(port_does_not_go_on_with_a_device_that_has_shrunk),
    TEST(port_does_not_go_on_with_a_server_that_can_do_less),
    TEST(request_that_waits_for_the_server_ends_at_its_time),
    TEST(flush_that_ends_at_its_time_fails_no_later_one),
    TEST(idle_port_notices_that_its_server_is_gone),
};
