/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client makes of the answers of a server, and of a fake that says anything. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>

#include "cleanup.h"
#include "rpc_rig.h"
#include "suite.h"

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

SUITE("rpc_client") = {
    CASE("a server", .setup = rig_set_up, .teardown = rig_tear_down),
    TEST(a_result_reaches_the_client),
    TEST(an_error_keeps_its_errno_code_and_sentence),
    TEST(an_answer_that_is_too_long_becomes_an_error),
    TEST(a_request_that_is_too_long_is_not_sent),
    TEST(notifications_arrive_in_order_before_the_reply),
    CASE("a fake", .setup = make_uri, .teardown = rig_tear_down),
    EACH(the_client_believes_only_a_proper_answer, answers),
    TEST(the_client_stops_waiting_at_the_deadline),
    TEST(a_deep_or_endless_answer_is_refused),
};
