/* SPDX-License-Identifier: BSD-3-Clause */
/* rpc_rig.h - a server in this process with methods for tests, and connections to it.
 */
#ifndef BATON_TESTS_RPC_RIG_H
#define BATON_TESTS_RPC_RIG_H

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "cleanup.h"
#include "clock.h"
#include "rpc.h"
#include "rpc_frame.h"
#include "uri.h"

#define SOON clock_deadline_ns(10 * NS_PER_S)

static char folder[64];
static struct uri at;
static struct rpc_server *server;
static atomic_int nr_fired; /* relaxed: read after a reply that came later */

static int
do_echo(void *ctx, struct rpc_call *call, json_t *params, struct err *e,
        json_t **ret_result)
{
    (void)ctx;
    (void)call;
    (void)e;
    *ret_result = json_incref(params);
    return 0;
}

static int
do_nothing(void *ctx, struct rpc_call *call, json_t *params, struct err *e,
           json_t **ret_result)
{
    (void)ctx;
    (void)call;
    (void)params;
    (void)e;
    (void)ret_result;
    atomic_fetch_add_explicit(&nr_fired, 1, memory_order_relaxed);
    return 0;
}

/* Fails with the number in "rc"; with the sentence in "text", if there is one. */
static int
do_fail(void *ctx, struct rpc_call *call, json_t *params, struct err *e,
        json_t **ret_result)
{
    const char *s = json_string_value(json_object_get(params, "text"));
    int rc = (int)json_integer_value(json_object_get(params, "rc"));

    (void)ctx;
    (void)call;
    (void)ret_result;
    return s != NULL ? err_set(e, rc, "%s", s) : rc;
}

/* A sentence that was cut within a character. */
static int
do_fail_torn(void *ctx, struct rpc_call *call, json_t *params, struct err *e,
             json_t **ret_result)
{
    (void)ctx;
    (void)call;
    (void)params;
    (void)ret_result;
    return err_set(e, -EBUSY, "torn \xc3");
}

/* Sends "nr" notifications of "size" bytes, then answers true; says so to
 * ctx's pipe, if there is one. */
static int
do_progress(void *ctx, struct rpc_call *call, json_t *params, struct err *e,
            json_t **ret_result)
{
    json_int_t nr = json_integer_value(json_object_get(params, "nr"));
    size_t size = (size_t)json_integer_value(json_object_get(params, "size"));
    const int *fds = ctx;
    AUTO_FREE char *pad = calloc(1, size + 1);

    (void)e;
    memset(pad, 'x', size);
    for (json_int_t i = 0; i < nr; i++) {
        rpc_notify(call, "progress", json_pack("{s:I, s:s}", "i", i, "pad", pad));
    }
    if (fds != NULL && write(fds[1], "d", 1) != 1) {
        return -EIO;
    }
    *ret_result = json_true();
    return 0;
}

/* Answers whether the caller is gone, once ctx's pipe says that it may look. */
static int
do_watch(void *ctx, struct rpc_call *call, json_t *params, struct err *e,
         json_t **ret_result)
{
    int *fds = ctx;
    bool is_gone_before = rpc_is_gone(call);
    char c = 'r';

    (void)params;
    (void)e;
    if (write(fds[1], &c, 1) != 1 || read(fds[2], &c, 1) != 1) {
        return -EIO;
    }
    c = !is_gone_before && rpc_is_gone(call) ? 'y' : 'n';
    if (write(fds[1], &c, 1) != 1) {
        return -EIO;
    }
    *ret_result = json_true();
    return 0;
}

static int
do_huge(void *ctx, struct rpc_call *call, json_t *params, struct err *e,
        json_t **ret_result)
{
    AUTO_FREE char *s = malloc(RPC_MAX_REPLY + 1);

    (void)ctx;
    (void)call;
    (void)params;
    (void)e;
    memset(s, 'x', RPC_MAX_REPLY);
    s[RPC_MAX_REPLY] = '\0';
    *ret_result = json_string(s);
    return 0;
}

static const struct rpc_method methods[] = {
    {"echo", do_echo},         {"nothing", do_nothing},
    {"fail", do_fail},         {"fail-torn", do_fail_torn},
    {"progress", do_progress}, {"watch", do_watch},
    {"huge", do_huge},         {NULL, NULL},
};

static inline void
make_uri(void)
{
    char text[128];

    (void)snprintf(folder, sizeof folder, "/tmp/baton-rpc-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(text, sizeof text, "unix:%s/s", folder);
    ck_assert_int_eq(uri_parse(text, URI_FOR_CONTROL, NULL, &at), 0);
}

static inline void
start_server(void *ctx)
{
    struct err e = {.msg = ""};
    int fd;

    ck_assert_int_eq(uri_listen(&at, 0600, NULL, &fd), 0);
    ck_assert_msg(rpc_server_new(fd, methods, ctx, &e, &server) == 0, "%s", e.msg);
}

static inline void
rig_set_up(void)
{
    atomic_store_explicit(&nr_fired, 0, memory_order_relaxed);
    make_uri();
    start_server(NULL);
}

static inline void
rig_tear_down(void)
{
    rpc_server_free(server);
    server = NULL;
    (void)unlink(at.path); /* some tests have no server */
    ck_assert_int_eq(rmdir(folder), 0);
}

static inline int
connect_raw(void)
{
    int fd = -1, pid;

    ck_assert_int_eq(uri_connect(&at, SOON, NULL, &fd, &pid), 0);
    return fd;
}

static inline struct rpc_client *
connect_client(void)
{
    struct rpc_client *c = NULL;

    ck_assert_int_eq(rpc_client_open(&at, SOON, NULL, &c), 0);
    return c;
}

/* The next line from fd, terminated and to be freed; NULL at its end. */
static inline char *
next_line(int fd)
{
    struct rpc_frame_reader r;
    const char *line;
    char *copy = NULL;
    size_t len;
    int rc;

    rpc_frame_reader_init(&r, fd, RPC_MAX_REPLY);
    rc = rpc_frame_read(&r, SOON, &line, &len);
    ck_assert_msg(rc == 1 || rc == 0 || rc == -ECONNRESET, "%s", strerror(-rc));
    if (rc == 1) {
        ck_assert_uint_eq(r.end, r.begin); /* replies come one at a time here */
        copy = strndup(line, len);
    }
    rpc_frame_reader_done(&r);
    return copy;
}

static inline void
send_raw(int fd, const char *s, size_t len)
{
    ck_assert_int_eq(rpc_frame_write(fd, s, len, SOON), 0);
}

static inline void
check_exchange(int fd, const char *line, size_t len, const char *reply)
{
    AUTO_FREE char *got = NULL;

    send_raw(fd, line, len);
    send_raw(fd, "\n", 1);
    got = next_line(fd);
    ck_assert_ptr_nonnull(got);
    ck_assert_msg(strstr(got, reply) != NULL, "%s: %s", line, got);
}

#define REQ "{\"jsonrpc\":\"2.0\","
#define STILL_WORKS REQ "\"id\":9,\"method\":\"echo\"}"
#define STILL_WORKS_REPLY "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}"

#define LINE(s) (s), sizeof(s) - 1

static inline int
call(struct rpc_client *c, const char *method, json_t *params, struct err *e, int *code,
     json_t **ret_result)
{
    return rpc_call(c, method, params, NULL, NULL, SOON, e, code, ret_result);
}

#endif
