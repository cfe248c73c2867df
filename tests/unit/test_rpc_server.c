/* SPDX-License-Identifier: BSD-3-Clause */
/* What a server does with what comes, whoever sends it. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>

#include "cleanup.h"
#include "json_depth.h"
#include "rpc_rig.h"
#include "suite.h"

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

SUITE("rpc_server") = {
    CASE("server", .setup = rig_set_up, .teardown = rig_tear_down),
    EACH(a_line_gets_its_answer_and_the_connection_goes_on, lines),
    TEST(nesting_is_refused_before_the_parser_sees_it),
    TEST(brackets_in_strings_are_no_nesting),
    TEST(a_request_without_id_is_neither_run_nor_answered),
    TEST(the_longest_request_is_served),
    TEST(a_longer_request_ends_its_own_connection_only),
    TEST(requests_in_one_packet_or_in_single_bytes_are_the_same),
    TEST(a_client_that_hangs_up_harms_nobody),
    TEST(random_lines_are_answered_or_refused),
    TEST(a_stuck_reader_holds_up_no_handler),
    TEST(a_handler_can_see_that_its_caller_has_gone),
    TEST(freeing_the_server_waits_for_the_handler),
    TEST(one_connection_too_many_is_told_so),
    TEST(a_socket_that_does_not_listen_is_refused),
};
