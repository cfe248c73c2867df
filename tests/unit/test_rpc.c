/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>

#include "cleanup.h"
#include "clock.h"
#include "json_depth.h"
#include "lock.h"
#include "rpc.h"
#include "rpc_frame.h"
#include "suite.h"
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

static void
make_uri(void)
{
    char text[128];

    (void)snprintf(folder, sizeof folder, "/tmp/baton-rpc-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(text, sizeof text, "unix:%s/s", folder);
    ck_assert_int_eq(uri_parse(text, URI_FOR_CONTROL, NULL, &at), 0);
}

static void
start_server(void *ctx)
{
    struct err e = {.msg = ""};
    int fd;

    ck_assert_int_eq(uri_listen(&at, 0600, NULL, &fd), 0);
    ck_assert_msg(rpc_server_new(fd, methods, ctx, &e, &server) == 0, "%s", e.msg);
}

static void
set_up(void)
{
    atomic_store_explicit(&nr_fired, 0, memory_order_relaxed);
    make_uri();
    start_server(NULL);
}

static void
tear_down(void)
{
    rpc_server_free(server);
    server = NULL;
    (void)unlink(at.path); /* some tests have no server */
    ck_assert_int_eq(rmdir(folder), 0);
}

static int
connect_raw(void)
{
    int fd = -1, pid;

    ck_assert_int_eq(uri_connect(&at, SOON, NULL, &fd, &pid), 0);
    return fd;
}

static struct rpc_client *
connect_client(void)
{
    struct rpc_client *c = NULL;

    ck_assert_int_eq(rpc_client_open(&at, SOON, NULL, &c), 0);
    return c;
}

/* The next line from fd, terminated and to be freed; NULL at its end. */
static char *
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

static void
send_raw(int fd, const char *s, size_t len)
{
    ck_assert_int_eq(rpc_frame_write(fd, s, len, SOON), 0);
}

static void
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
static const struct {
    const char *line;
    size_t len;
    const char *reply;
} lines[] = {
    {LINE(""), "-32700"},
    {LINE("  "), "-32700"},
    {LINE("nonsense"), "-32700"},
    {LINE("{"), "-32700"},
    {LINE(REQ "\"id\":1,\"method\":\"ec"), "-32700"},
    {LINE(REQ "\"id\":1,\"method\":\"echo\"} x"), "-32700"},
    {LINE(REQ "\"id\":1,\"id\":2,\"method\":\"echo\"}"), "-32700"},
    {LINE(REQ "\"id\":1,\"method\":\"echo\",\"params\":{\"a\":1,\"a\":2}}"), "-32700"},
    {LINE(REQ "\"id\":1,\"method\":\"ec\0ho\"}"), "-32700"},
    {LINE("\0"), "-32700"},
    {LINE(REQ "\"id\":1,\"method\":\"echo\\u0000\"}"), "-32700"},
    {LINE(REQ "\"id\":1,\"method\":\"\xff\"}"), "-32700"},
    {LINE(REQ "\"id\":1,\"method\":\"\xc3\"}"), "-32700"},
    {LINE(REQ "\"id\":1,\"method\":\"\\ud800\"}"), "-32700"},
    {LINE(REQ "\"id\":99999999999999999999,\"method\":\"echo\"}"), "-32700"},
    {LINE(REQ "\"id\":1e999,\"method\":\"echo\"}"), "-32700"},
    {LINE("[]"), "batches are not supported"},
    {LINE("[" STILL_WORKS "]"), "\"id\":null,\"error\":{\"code\":-32600"},
    {LINE("1"), "-32600"},
    {LINE("\"x\""), "-32600"},
    {LINE("null"), "-32600"},
    {LINE("{}"), "-32600"},
    {LINE("{\"id\":1,\"method\":\"echo\"}"), "\"id\":1,\"error\":{\"code\":-32600"},
    {LINE("{\"jsonrpc\":2.0,\"id\":1,\"method\":\"echo\"}"), "-32600"},
    {LINE("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"echo\"}"), "-32600"},
    {LINE(REQ "\"id\":1}"), "-32600"},
    {LINE(REQ "\"id\":1,\"method\":7}"), "-32600"},
    {LINE(REQ "\"method\":7}"), "\"id\":null,\"error\":{\"code\":-32600"},
    {LINE(REQ "\"id\":true,\"method\":\"echo\"}"),
     "\"id\":null,\"error\":{\"code\":-32600"},
    {LINE(REQ "\"id\":[1],\"method\":\"echo\"}"), "-32600"},
    {LINE(REQ "\"id\":{},\"method\":\"echo\"}"), "-32600"},
    {LINE(REQ "\"id\":1,\"method\":\"\"}"), "-32601"},
    {LINE(REQ "\"id\":1,\"method\":\"Echo\"}"), "-32601"},
    {LINE(REQ "\"id\":1,\"method\":\"echo\",\"params\":[]}"), "-32602"},
    {LINE(REQ "\"id\":1,\"method\":\"echo\",\"params\":null}"), "-32602"},
    {LINE(REQ "\"id\":1,\"method\":\"echo\",\"params\":\"x\"}"), "-32602"},
    {LINE(REQ "\"id\":1,\"method\":\"echo\"}\r"), "\"id\":1,\"result\":{}"},
    {LINE(REQ "\"id\":\"a\\\"b\",\"method\":\"echo\"}"),
     "\"id\":\"a\\\"b\",\"result\":{}"},
    {LINE(REQ "\"id\":\"\",\"method\":\"echo\"}"), "\"id\":\"\",\"result\":{}"},
    {LINE(REQ "\"id\":null,\"method\":\"echo\"}"), "\"id\":null,\"result\":{}"},
    {LINE(REQ "\"id\":-9223372036854775808,\"method\":\"echo\"}"),
     "\"id\":-9223372036854775808,\"result\":{}"},
    {LINE(REQ "\"id\":1.5,\"method\":\"echo\"}"), "\"id\":1.5,\"result\":{}"},
    {LINE(REQ "\"id\":1,\"method\":\"echo\",\"params\":{\"a\":[1]},\"more\":0}"),
     "\"result\":{\"a\":[1]}"},
    {LINE(REQ "\"id\":1,\"method\":\"nothing\"}"), "\"result\":null"},
};

START_TEST(a_line_gets_its_answer_and_the_connection_goes_on)
{
    AUTO_FD int fd = connect_raw();

    check_exchange(fd, lines[_i].line, lines[_i].len, lines[_i].reply);
    check_exchange(fd, LINE(STILL_WORKS), STILL_WORKS_REPLY);
}
END_TEST

START_TEST(nesting_is_refused_before_the_parser_sees_it)
{
    static char line[250000];
    static const unsigned depths[] = {RPC_MAX_DEPTH - 2, RPC_MAX_DEPTH - 1, 100000};
    static const char *const replies[] = {"\"id\":1,\"result\"", "-32600", "-32600"};
    AUTO_FD int fd = connect_raw();

    for (size_t i = 0; i < 3; i++) {
        size_t depth = depths[i], len;

        len = (size_t)sprintf(line,
                              REQ "\"id\":1,\"method\":\"echo\",\"params\":{\"a\":");
        memset(line + len, '[', depth);
        memset(line + len + depth, ']', depth);
        len += 2 * depth;
        line[len++] = '}';
        line[len++] = '}';
        line[len] = '\0';
        check_exchange(fd, line, len, replies[i]);
    }
}
END_TEST

START_TEST(brackets_in_strings_are_no_nesting)
{
    static const char deep[] = "[[\"]]]]]\\\"[[[[\",[\"\\\\\",1]]]";

    ck_assert(!json_depth_exceeds(deep, sizeof deep - 1, 3));
    ck_assert(json_depth_exceeds(deep, sizeof deep - 1, 2));
    ck_assert(!json_depth_exceeds("\"\\", 2, 0));
    ck_assert(!json_depth_exceeds("]]]]", 4, 0));
}
END_TEST

START_TEST(a_request_without_id_is_neither_run_nor_answered)
{
    AUTO_FD int fd = connect_raw();

    send_raw(fd, LINE(REQ "\"method\":\"nothing\"}\n"));
    send_raw(fd, LINE(REQ "\"method\":\"unknown\"}\n"));
    check_exchange(fd, LINE(STILL_WORKS), STILL_WORKS_REPLY);
    ck_assert_int_eq(atomic_load_explicit(&nr_fired, memory_order_relaxed), 0);
}
END_TEST

/* Sends a request of len bytes, newline included. */
static void
send_long(int fd, size_t len)
{
    static const char head[] =
        REQ "\"id\":1,\"method\":\"nothing\",\"params\":{\"a\":\"";
    static const char tail[] = {'"', '}', '}', '\n'};
    AUTO_FREE char *line = malloc(len);

    memset(line, 'x', len);
    memcpy(line, head, sizeof head - 1);
    memcpy(line + len - sizeof tail, tail, sizeof tail);
    /* The server may hang up before it has taken all of it. */
    (void)rpc_frame_write(fd, line, len, SOON);
}

START_TEST(the_longest_request_is_served)
{
    AUTO_FD int fd = connect_raw();
    AUTO_FREE char *reply = NULL;

    send_long(fd, RPC_MAX_REQUEST);
    reply = next_line(fd);
    ck_assert_str_eq(reply, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}");
}
END_TEST

START_TEST(a_longer_request_ends_its_own_connection_only)
{
    static const size_t sizes[] = {RPC_MAX_REQUEST + 1, 4 * RPC_MAX_REQUEST};
    AUTO_FD int other = connect_raw();

    for (size_t i = 0; i < 2; i++) {
        AUTO_FD int fd = connect_raw();
        AUTO_FREE char *reply = NULL;

        send_long(fd, sizes[i]);
        reply = next_line(fd);
        ck_assert_ptr_nonnull(reply);
        ck_assert_ptr_nonnull(strstr(reply, "too long"));
        ck_assert_ptr_null(next_line(fd));
    }
    check_exchange(other, LINE(STILL_WORKS), STILL_WORKS_REPLY);
    ck_assert_int_eq(atomic_load_explicit(&nr_fired, memory_order_relaxed), 0);
}
END_TEST

START_TEST(requests_in_one_packet_or_in_single_bytes_are_the_same)
{
    static const char two[] = STILL_WORKS "\n" STILL_WORKS "\n";
    static const char replies[] = STILL_WORKS_REPLY "\n" STILL_WORKS_REPLY "\n";
    AUTO_FD int fd = connect_raw();
    char got[2 * sizeof replies];

    for (size_t i = 0; i < sizeof two - 1; i++) {
        send_raw(fd, two + i, 1);
    }
    send_raw(fd, LINE(two));
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(recv(fd, got, sizeof replies - 1, MSG_WAITALL),
                         sizeof replies - 1);
        ck_assert_mem_eq(got, replies, sizeof replies - 1);
    }
}
END_TEST

START_TEST(a_client_that_hangs_up_harms_nobody)
{
    static const char *const starts[] = {"", "{\"json", STILL_WORKS "\n",
                                         REQ "\"id\":1,\"method\":\"huge\"}\n"};
    AUTO_FD int other = connect_raw();

    (void)signal(SIGPIPE, SIG_DFL); /* so that the server's writes would kill */
    for (size_t i = 0; i < 4; i++) {
        AUTO_FD int fd = connect_raw();

        send_raw(fd, starts[i], strlen(starts[i]));
    }
    check_exchange(other, LINE(STILL_WORKS), STILL_WORKS_REPLY);
}
END_TEST

/* 1000 random changes of a valid line: the server lives and still answers others. */
START_TEST(random_lines_are_answered_or_refused)
{
    static const char line[] =
        REQ "\"id\":1,\"method\":\"echo\",\"params\":{\"a\":[1,\"x\\n\",null,1.5]}}\n";
    AUTO_FD int fd = connect_raw();
    unsigned seed = 12345;

    for (int i = 0; i < 1000; i++) {
        char changed[sizeof line];
        AUTO_FREE char *reply = NULL;
        int nr = 1 + rand_r(&seed) % 4;

        memcpy(changed, line, sizeof line);
        while (nr-- > 0) {
            char c = (char)(rand_r(&seed) % 256);

            c = (char)(c == '\n' ? ' ' : c);
            changed[(size_t)rand_r(&seed) % (sizeof line - 2)] = c;
        }
        send_raw(fd, changed, sizeof line - 1);
        if (strstr(changed, "\"id\"") != NULL) {
            reply = next_line(fd); /* with an id there is always an answer */
            ck_assert_ptr_nonnull(reply);
        } else {
            int extra = connect_raw();

            check_exchange(extra, LINE(STILL_WORKS), STILL_WORKS_REPLY);
            ck_assert_int_eq(close(fd), 0);
            fd = extra;
        }
    }
}
END_TEST

static int
call(struct rpc_client *c, const char *method, json_t *params, struct err *e, int *code,
     json_t **ret_result)
{
    return rpc_call(c, method, params, NULL, NULL, SOON, e, code, ret_result);
}

START_TEST(a_result_reaches_the_client)
{
    struct rpc_client *c = connect_client();
    json_t *result = NULL;
    int code = 7;

    ck_assert_int_eq(call(c, "echo", json_pack("{s:i}", "a", 5), NULL, &code, &result),
                     0);
    ck_assert_int_eq(json_integer_value(json_object_get(result, "a")), 5);
    ck_assert_int_eq(code, 0);
    json_decref(result);
    ck_assert_int_eq(call(c, "nothing", NULL, NULL, NULL, &result), 0);
    ck_assert(json_is_null(result));
    json_decref(result);
    rpc_client_close(c);
}
END_TEST

static const struct {
    int rc, code;
} failures[] = {
    {-EBUSY, RPC_REFUSED},      {-EINPROGRESS, RPC_COMMITTED},
    {-EBADMSG, -32602},         {-ETIMEDOUT, RPC_REFUSED},
    {-EIO, RPC_REFUSED},        {-ESTALE, RPC_REFUSED},
    {-EOPNOTSUPP, RPC_REFUSED}, {-EAGAIN, RPC_REFUSED},
    {-ECONNRESET, RPC_REFUSED},
};

START_TEST(an_error_keeps_its_errno_code_and_sentence)
{
    struct rpc_client *c = connect_client();
    struct err e = {.msg = ""};
    json_t *result = NULL;
    int code = 7;

    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        json_t *params =
            json_pack("{s:i, s:s}", "rc", failures[i].rc, "text", "because");

        ck_assert_int_eq(call(c, "fail", params, &e, &code, &result), failures[i].rc);
        ck_assert_int_eq(code, failures[i].code);
        ck_assert_str_eq(e.msg, "because");
    }
    ck_assert_int_eq(
        call(c, "fail", json_pack("{s:i}", "rc", -EBUSY), &e, &code, &result), -EBUSY);
    ck_assert_str_eq(e.msg, "Device or resource busy");
    ck_assert_int_eq(call(c, "fail-torn", NULL, &e, NULL, &result), -EBUSY);
    ck_assert_str_eq(e.msg, "torn ?");
    ck_assert_int_eq(call(c, "no-such", NULL, &e, &code, &result), -EREMOTEIO);
    ck_assert_int_eq(code, -32601);
    ck_assert_ptr_null(result);
    rpc_client_close(c);
}
END_TEST

START_TEST(an_answer_that_is_too_long_becomes_an_error)
{
    struct rpc_client *c = connect_client();
    json_t *result = NULL;
    int code;

    ck_assert_int_eq(call(c, "huge", NULL, NULL, &code, &result), -EMSGSIZE);
    ck_assert_int_eq(code, -32603);
    ck_assert_int_eq(call(c, "echo", NULL, NULL, NULL, &result), 0);
    json_decref(result);
    rpc_client_close(c);
}
END_TEST

START_TEST(a_request_that_is_too_long_is_not_sent)
{
    struct rpc_client *c = connect_client();
    AUTO_FREE char *s = calloc(1, RPC_MAX_REQUEST + 1);
    struct err e = {.msg = ""};
    json_t *result = NULL;

    memset(s, 'x', RPC_MAX_REQUEST);
    ck_assert_int_eq(call(c, "echo", json_pack("{s:s}", "a", s), &e, NULL, &result),
                     -EMSGSIZE);
    ck_assert_ptr_nonnull(strstr(e.msg, "echo"));
    ck_assert_int_eq(call(c, "echo", NULL, NULL, NULL, &result), 0);
    json_decref(result);
    rpc_client_close(c);
}
END_TEST

static void
count_notification(void *opaque, const char *method, json_t *params)
{
    json_int_t *next = opaque;

    ck_assert_str_eq(method, "progress");
    ck_assert_int_eq(json_integer_value(json_object_get(params, "i")), *next);
    (*next)++;
}

START_TEST(notifications_arrive_in_order_before_the_reply)
{
    struct rpc_client *c = connect_client();
    json_t *result = NULL;
    json_int_t next = 0;

    ck_assert_int_eq(rpc_call(c, "progress",
                              json_pack("{s:i, s:i}", "nr", 100, "size", 10),
                              count_notification, &next, SOON, NULL, NULL, &result),
                     0);
    ck_assert(json_is_true(result));
    ck_assert_int_eq(next, 100);
    rpc_client_close(c);
}
END_TEST

/* fds: [0] from the handler, [1] its end of that, [2] its end to be told, [3] ours */
static void
start_watching_server(int *fds)
{
    rpc_server_free(server);
    server = NULL;
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(pipe(fds + 2), 0);
    start_server(fds);
}

static void
close_all(const int *fds)
{
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(close(fds[i]), 0);
    }
}

/* Reads up to the reply, which is whole like all before it: how many notifications? */
static size_t
count_until_reply(int fd)
{
    struct rpc_frame_reader r;
    bool is_reply = false;
    size_t len, nr = 0;

    rpc_frame_reader_init(&r, fd, RPC_MAX_REPLY);
    while (!is_reply) {
        const char *line;
        json_t *j;

        ck_assert_int_eq(rpc_frame_read(&r, SOON, &line, &len), 1);
        j = json_loadb(line, len, 0, NULL);
        ck_assert_ptr_nonnull(j);
        is_reply = json_object_get(j, "result") != NULL;
        nr += is_reply ? 0 : 1;
        json_decref(j);
    }
    rpc_frame_reader_done(&r);
    return nr;
}

/* 12 MiB to somebody who reads nothing until the handler has said that it is done. */
START_TEST(a_stuck_reader_holds_up_no_handler)
{
    int fds[4], fd;
    size_t nr;
    char c = 0;

    start_watching_server(fds);
    fd = connect_raw();
    send_raw(fd, LINE(REQ "\"id\":1,\"method\":\"progress\","
                          "\"params\":{\"nr\":200,\"size\":65536}}\n"));
    ck_assert_int_eq(read(fds[0], &c, 1), 1);
    nr = count_until_reply(fd);
    ck_assert_uint_gt(nr, 0);
    ck_assert_uint_lt(nr, 200);
    check_exchange(fd, LINE(STILL_WORKS), STILL_WORKS_REPLY);
    ck_assert_int_eq(close(fd), 0);
    rpc_server_free(server);
    server = NULL;
    close_all(fds);
}
END_TEST

START_TEST(a_handler_can_see_that_its_caller_has_gone)
{
    int fds[4], fd;
    char c = 0;

    start_watching_server(fds);
    fd = connect_raw();
    send_raw(fd, LINE(REQ "\"id\":1,\"method\":\"watch\"}\n"));
    ck_assert_int_eq(read(fds[0], &c, 1), 1);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(write(fds[3], "g", 1), 1);
    ck_assert_int_eq(read(fds[0], &c, 1), 1);
    ck_assert_int_eq(c, 'y');
    rpc_server_free(server);
    server = NULL;
    close_all(fds);
}
END_TEST

static void *
free_server(void *opaque)
{
    rpc_server_free(opaque);
    return NULL;
}

/* The connection is shut down at once, which the caller sees; the handler is waited
 * for. */
START_TEST(freeing_the_server_waits_for_the_handler)
{
    struct pollfd p = {.events = POLLRDHUP};
    int fds[4];
    pthread_t t;
    char c = 0;

    start_watching_server(fds);
    p.fd = connect_raw();
    send_raw(p.fd, LINE(REQ "\"id\":1,\"method\":\"watch\"}\n"));
    ck_assert_int_eq(read(fds[0], &c, 1), 1);
    ck_assert_int_eq(pthread_create(&t, NULL, free_server, server), 0);
    server = NULL;
    ck_assert_int_eq(poll(&p, 1, 3000), 1);
    ck_assert_int_eq(pthread_tryjoin_np(t, NULL), EBUSY);
    ck_assert_int_eq(write(fds[3], "g", 1), 1);
    ck_assert_int_eq(pthread_join(t, NULL), 0);
    ck_assert_int_eq(read(fds[0], &c, 1), 1);
    ck_assert_int_eq(c, 'y');
    ck_assert_int_eq(close(p.fd), 0);
    close_all(fds);
}
END_TEST

/* Both ends of RPC_MAX_CONNECTIONS connections are in this process. */
static void
allow_many_fds(void)
{
    struct rlimit fds;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &fds), 0);
    fds.rlim_cur = fds.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &fds), 0);
}

START_TEST(one_connection_too_many_is_told_so)
{
    struct rpc_client *c;
    struct err e = {.msg = ""};
    json_t *result = NULL;
    int fds[RPC_MAX_CONNECTIONS];

    allow_many_fds();
    for (int i = 0; i < RPC_MAX_CONNECTIONS; i++) {
        fds[i] = connect_raw();
        check_exchange(fds[i], LINE(STILL_WORKS), STILL_WORKS_REPLY);
    }
    c = connect_client();
    ck_assert_int_eq(call(c, "echo", NULL, &e, NULL, &result), -EBUSY);
    ck_assert_ptr_nonnull(strstr(e.msg, "too many"));
    rpc_client_close(c);
    ck_assert_int_eq(shutdown(fds[0], SHUT_WR), 0);
    ck_assert_ptr_null(next_line(fds[0])); /* the server has closed: its slot is free */
    c = connect_client();
    ck_assert_int_eq(call(c, "echo", NULL, NULL, NULL, &result), 0);
    json_decref(result);
    rpc_client_close(c);
    for (int i = 0; i < RPC_MAX_CONNECTIONS; i++) {
        ck_assert_int_eq(close(fds[i]), 0);
    }
}
END_TEST

START_TEST(a_socket_that_does_not_listen_is_refused)
{
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct rpc_server *s = NULL;

    ck_assert_int_eq(rpc_server_new(fd, methods, NULL, NULL, &s), -EINVAL);
    ck_assert_int_eq(rpc_server_new(-1, methods, NULL, NULL, &s), -EBADF);
    ck_assert_ptr_null(s);
}
END_TEST

/* A server that takes one connection and says what it is told to. */
struct fake {
    int listener;
    const char *says;
    bool is_silent; /* keeps the connection open without a word */
    int fd;
};

static void *
run_fake(void *opaque)
{
    struct fake *f = opaque;

    f->fd = accept(f->listener, NULL, NULL);
    free(next_line(f->fd));
    if (!f->is_silent) {
        (void)rpc_frame_write(f->fd, f->says, strlen(f->says), SOON); /* tested below */
        (void)shutdown(f->fd, SHUT_RDWR);
    }
    return NULL;
}

static int
call_fake(struct fake *f, uint64_t deadline_ns, struct err *e)
{
    struct rpc_client *c;
    json_t *result = NULL;
    pthread_t t;
    int rc, code = 7;

    ck_assert_int_eq(uri_listen(&at, 0600, NULL, &f->listener), 0);
    c = connect_client();
    ck_assert_int_eq(pthread_create(&t, NULL, run_fake, f), 0);
    rc = rpc_call(c, "m", NULL, NULL, NULL, deadline_ns, e, &code, &result);
    ck_assert_int_eq(pthread_join(t, NULL), 0);
    if (rc == -ETIMEDOUT || rc == -EPROTO) {
        json_t *r2;

        ck_assert_int_eq(code, 0);
        ck_assert_int_eq(call(c, "m", NULL, NULL, NULL, &r2), -ECONNRESET);
    }
    json_decref(result);
    rpc_client_close(c);
    ck_assert_int_eq(close(f->fd), 0);
    ck_assert_int_eq(close(f->listener), 0);
    return rc;
}

static const struct {
    const char *says;
    int rc;
} answers[] = {
    {REQ "\"id\":1,\"result\":1}\n", 0},
    {REQ "\"method\":\"x\"}\n" REQ "\"method\":\"y\",\"params\":[]}\n" REQ
         "\"id\":1,\"result\":1}\n",
     0},
    {"", -ECONNRESET},
    {REQ "\"id\":1,\"result\":1}", -ECONNRESET},
    {"\n", -EPROTO},
    {"nonsense\n", -EPROTO},
    {"[]\n", -EPROTO},
    {"{\"id\":1,\"result\":1}\n", -EPROTO},
    {REQ "\"id\":2,\"result\":1}\n", -EPROTO},
    {REQ "\"id\":\"1\",\"result\":1}\n", -EPROTO},
    {REQ "\"id\":null,\"result\":1}\n", -EPROTO},
    {REQ "\"result\":1}\n", -EPROTO},
    {REQ "\"id\":1,\"method\":\"x\"}\n", -EPROTO},
    {REQ "\"id\":1}\n", -EPROTO},
    {REQ "\"id\":1,\"result\":1,\"error\":{\"code\":1,\"message\":\"m\"}}\n", -EPROTO},
    {REQ "\"id\":1,\"error\":1}\n", -EPROTO},
    {REQ "\"id\":1,\"error\":{\"message\":\"m\"}}\n", -EPROTO},
    {REQ "\"id\":1,\"error\":{\"code\":1}}\n", -EPROTO},
    {REQ "\"id\":1,\"error\":{\"code\":99999999999,\"message\":\"m\"}}\n", -EPROTO},
    {REQ "\"id\":1,\"error\":{\"code\":1,\"message\":\"m\"}}\n", -EREMOTEIO},
    {REQ "\"id\":null,\"error\":{\"code\":1,\"message\":\"m\"}}\n", -EREMOTEIO},
    {REQ "\"id\":1,\"error\":{\"code\":1,\"message\":\"m\",\"data\":5}}\n", -EREMOTEIO},
    {REQ
     "\"id\":1,\"error\":{\"code\":1,\"message\":\"m\",\"data\":{\"errno\":\"X\"}}}\n",
     -EREMOTEIO},
    {REQ "\"id\":1,\"error\":{\"code\":1,\"message\":\"m\",\"data\":{\"errno\":\"EIO\"}"
         "}}\n",
     -EIO},
};

START_TEST(the_client_believes_only_a_proper_answer)
{
    struct fake f = {.says = answers[_i].says};
    struct err e = {.msg = ""};

    ck_assert_msg(call_fake(&f, SOON, &e) == answers[_i].rc, "%s: %s", f.says, e.msg);
    ck_assert_int_eq(e.msg[0] != '\0', answers[_i].rc != 0);
}
END_TEST

START_TEST(the_client_stops_waiting_at_the_deadline)
{
    struct fake f = {.is_silent = true};
    struct err e = {.msg = ""};

    ck_assert_int_eq(call_fake(&f, clock_deadline_ns(30 * NS_PER_MS), &e), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(e.msg, "m: unix:/"));
    ck_assert_ptr_nonnull(strstr(e.msg, " did not answer in time"));
}
END_TEST

START_TEST(a_deep_or_endless_answer_is_refused)
{
    struct fake f = {.is_silent = false};
    struct err e = {.msg = ""};
    AUTO_FREE char *s = calloc(1, RPC_MAX_REPLY + 2);

    memset(s, '[', 100000);
    s[100000] = '\n';
    f.says = s;
    ck_assert_int_eq(call_fake(&f, SOON, &e), -EPROTO);
    ck_assert_ptr_nonnull(strstr(e.msg, "too deep"));
    memset(s, 'x', RPC_MAX_REPLY + 1);
    ck_assert_int_eq(call_fake(&f, SOON, &e), -EPROTO);
    ck_assert_ptr_nonnull(strstr(e.msg, "too long"));
}
END_TEST

SUITE("rpc") = {
    CASE("server", .setup = set_up, .teardown = tear_down),
    EACH(a_line_gets_its_answer_and_the_connection_goes_on, lines),
    TEST(nesting_is_refused_before_the_parser_sees_it),
    TEST(brackets_in_strings_are_no_nesting),
    TEST(a_request_without_id_is_neither_run_nor_answered),
    TEST(the_longest_request_is_served),
    TEST(a_longer_request_ends_its_own_connection_only),
    TEST(requests_in_one_packet_or_in_single_bytes_are_the_same),
    TEST(a_client_that_hangs_up_harms_nobody),
    TEST(random_lines_are_answered_or_refused),
    TEST(a_result_reaches_the_client),
    TEST(an_error_keeps_its_errno_code_and_sentence),
    TEST(an_answer_that_is_too_long_becomes_an_error),
    TEST(a_request_that_is_too_long_is_not_sent),
    TEST(notifications_arrive_in_order_before_the_reply),
    TEST(a_stuck_reader_holds_up_no_handler),
    TEST(a_handler_can_see_that_its_caller_has_gone),
    TEST(freeing_the_server_waits_for_the_handler),
    TEST(one_connection_too_many_is_told_so),
    CASE("client", .setup = make_uri, .teardown = tear_down),
    EACH(the_client_believes_only_a_proper_answer, answers),
    TEST(the_client_stops_waiting_at_the_deadline),
    TEST(a_deep_or_endless_answer_is_refused),
    TEST(a_socket_that_does_not_listen_is_refused),
};
