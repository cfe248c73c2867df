/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection: take a line, judge it, run the handler, send the reply.
 *
 * A handler may be in the middle of a handoff when it sends a notification, and a VM
 * may be waiting for it. So rpc_notify() never waits: what the socket does not take at
 * once is kept in a bounded queue and goes out before whatever is sent next; when the
 * queue is full, notifications are dropped, whole. Only a reply waits, and that is
 * bounded too.
 *
 * A request without an id is a notification. No method of ours is one, so it is neither
 * run nor answered. */
#include "rpc_conn.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "err.h"
#include "json_depth.h"
#include "lock.h"
#include "rpc_frame.h"
#include "tls.h"

#define PARSE_ERROR (-32700)
#define INVALID_REQUEST (-32600)
#define UNKNOWN_METHOD (-32601)
#define BAD_PARAMS (-32602)
#define INTERNAL_ERROR (-32603)

#define REPLY_TIMEOUT_NS (30 * NS_PER_S)
#define MAX_QUEUED (256U * 1024)

struct rpc_call {
    int fd;
    const struct rpc_service *service;
    void (*at_end)(void *arg); /* NULL: nothing. Only the connection's thread uses it */
    void *at_end_arg;
    struct lk lock; /* leaf; held over a send that does not wait */
    struct rpc_call_locked {
        char *queue; /* MAX_QUEUED bytes once one was needed */
        size_t queued;
        bool is_broken; /* sending has failed: the stream is of no use any more */
    } locked_;
};

static struct rpc_call_locked *call_locked(struct rpc_call *c) LK_REQUIRES(c->lock);

static struct rpc_call_locked *
call_locked(struct rpc_call *c)
{
    return &c->locked_;
}

static void send_queue_locked(struct rpc_call *c) LK_REQUIRES(c->lock);

static void
send_queue_locked(struct rpc_call *c)
{
    struct rpc_call_locked *l = call_locked(c);
    ssize_t n;

    if (l->queued == 0 || l->is_broken) {
        return;
    }
    n = rpc_frame_write_some(c->fd, l->queue, l->queued);
    if (n < 0) {
        l->is_broken = true;
        return;
    }
    l->queued -= (size_t)n;
    memmove(l->queue, l->queue + n, l->queued);
}

static void
enqueue(struct rpc_call *c, const char *line, size_t len)
{
    LK_GUARD(&c->lock);
    struct rpc_call_locked *l = call_locked(c);

    send_queue_locked(c);
    if (l->queue == NULL) {
        l->queue = malloc(MAX_QUEUED);
    }
    if (l->queue == NULL || l->is_broken || len > MAX_QUEUED - l->queued) {
        return;
    }
    memcpy(l->queue + l->queued, line, len);
    l->queued += len;
    send_queue_locked(c);
}

void
rpc_notify(struct rpc_call *call, const char *method, json_t *params)
{
    json_t *j = json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method,
                          "params", params);
    AUTO_FREE char *line = NULL;
    size_t len;

    if (j != NULL && rpc_frame_dump(j, MAX_QUEUED, &line, &len) == 0) {
        enqueue(call, line, len);
    }
    json_decref(j);
}

void
rpc_set_urgency(const struct rpc_call *call, enum urgency u)
{
    (void)urgency_set(u); /* what is not allowed is done without */
    if (call != NULL && call->service->stream != NULL) {
        tls_stream_set_urgency(call->service->stream, u);
    }
}

void
rpc_at_end(struct rpc_call *call, void (*fn)(void *arg), void *arg)
{
    if (call->at_end != NULL) {
        call->at_end(call->at_end_arg);
    }
    call->at_end = fn;
    call->at_end_arg = arg;
}

bool
rpc_is_gone(const struct rpc_call *call)
{
    struct pollfd p = {.fd = call->fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* Nothing else sends now: the handler has returned. */
static int
send_line(struct rpc_call *c, const char *line, size_t len)
{
    uint64_t deadline_ns = clock_deadline_ns(REPLY_TIMEOUT_NS);
    AUTO_FREE char *queue = NULL;
    size_t queued;
    bool is_broken;
    int rc;

    lk_acquire(&c->lock);
    queue = TAKE(call_locked(c)->queue);
    queued = call_locked(c)->queued;
    call_locked(c)->queued = 0;
    is_broken = call_locked(c)->is_broken;
    lk_release(&c->lock);
    if (is_broken) {
        return -EPIPE;
    }
    rc = rpc_frame_write(c->fd, queue, queued, deadline_ns);
    return rc < 0 ? rc : rpc_frame_write(c->fd, line, len, deadline_ns);
}

/* Steals id. rc 0: no data. NULL: no memory; as the other functions that make replies.
 */
static json_t *
error_reply(json_t *id, int code, const char *message, int rc)
{
    const char *name = rc < 0 ? strerrorname_np(-rc) : NULL;
    json_t *data = name != NULL ? json_pack("{s:s}", "errno", name) : NULL;

    return json_pack("{s:s, s:o, s:{s:i, s:o, s:o*}}", "jsonrpc", "2.0", "id", id,
                     "error", "code", code, "message", rpc_frame_text(message), "data",
                     data);
}

static const struct rpc_method *
find_method(const struct rpc_method *m, const char *name)
{
    while (m->name != NULL && strcmp(m->name, name) != 0) {
        m++;
    }
    return m->name != NULL ? m : NULL;
}

/* Steals id. */
static json_t *
run_handler(struct rpc_call *c, const struct rpc_method *m, json_t *id, json_t *params)
{
    const struct rpc_service *s = c->service;
    struct err e = {.msg = ""};
    json_t *result = NULL;
    int rc = 0, code = RPC_REFUSED;

    if (s->peer != NULL) {
        rc = s->admit(s->ctx, s->peer, m->name, params, &e);
    }
    if (rc == 0) {
        rc = m->handler(s->ctx, c, params, &e, &result);
    }
    if (rc == 0) {
        return json_pack("{s:s, s:o, s:o}", "jsonrpc", "2.0", "id", id, "result",
                         result != NULL ? result : json_null());
    }
    assert(rc < 0 && rc > -4096);
    if (rc == -EINPROGRESS) {
        code = RPC_COMMITTED;
    } else if (rc == -EBADMSG) {
        code = BAD_PARAMS;
    }
    return error_reply(id, code, err_text(&e, rc), rc);
}

/* What makes an object no request, or NULL. */
static const char *
why_invalid(const json_t *id, const json_t *request)
{
    const char *version = json_string_value(json_object_get(request, "jsonrpc"));

    if (id != NULL && !json_is_string(id) && !json_is_number(id) && !json_is_null(id)) {
        return "id must be a string, a number or null";
    }
    if (version == NULL || strcmp(version, "2.0") != 0) {
        return "jsonrpc must be \"2.0\"";
    }
    if (!json_is_string(json_object_get(request, "method"))) {
        return "method must be a string";
    }
    return NULL;
}

/* Returns false when there is nothing to say. */
static bool
answer_request(struct rpc_call *c, json_t *request, json_t **ret_reply)
{
    json_t *id = json_object_get(request, "id");
    json_t *params = json_object_get(request, "params");
    const char *wrong = why_invalid(id, request);
    const struct rpc_method *m;

    if (wrong != NULL) {
        bool can_name_it = json_is_string(id) || json_is_number(id);

        *ret_reply = error_reply(can_name_it ? json_incref(id) : json_null(),
                                 INVALID_REQUEST, wrong, 0);
        return true;
    }
    if (id == NULL) {
        return false;
    }
    m = find_method(c->service->methods,
                    json_string_value(json_object_get(request, "method")));
    if (m == NULL) {
        *ret_reply = error_reply(json_incref(id), UNKNOWN_METHOD, "unknown method", 0);
    } else if (params != NULL && !json_is_object(params)) {
        *ret_reply =
            error_reply(json_incref(id), BAD_PARAMS, "params must be an object", 0);
    } else {
        json_t *none = params == NULL ? json_object() : NULL;

        *ret_reply = run_handler(c, m, json_incref(id), params != NULL ? params : none);
        json_decref(none);
    }
    return true;
}

static bool
answer_line(struct rpc_call *c, const char *line, size_t len, json_t **ret_reply)
{
    json_error_t error;
    json_t *request;
    bool has_reply = true;

    if (json_depth_exceeds(line, len, RPC_MAX_DEPTH)) {
        *ret_reply = error_reply(json_null(), INVALID_REQUEST, "nested too deep", 0);
        return true;
    }
    request = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (request == NULL) {
        *ret_reply = error_reply(json_null(), PARSE_ERROR, error.text, 0);
    } else if (json_is_array(request)) {
        *ret_reply =
            error_reply(json_null(), INVALID_REQUEST, "batches are not supported", 0);
    } else if (!json_is_object(request)) {
        *ret_reply =
            error_reply(json_null(), INVALID_REQUEST, "a request must be an object", 0);
    } else {
        has_reply = answer_request(c, request, ret_reply);
    }
    json_decref(request);
    return has_reply;
}

/* Steals reply (NULL: there was no memory for it). */
static int
send_reply(struct rpc_call *c, json_t *reply)
{
    AUTO_FREE char *line = NULL;
    size_t len = 0;
    int rc =
        reply != NULL ? rpc_frame_dump(reply, RPC_MAX_REPLY, &line, &len) : -ENOMEM;

    if (rc == -EMSGSIZE) {
        json_t *instead = error_reply(json_incref(json_object_get(reply, "id")),
                                      INTERNAL_ERROR, "the answer is too long", rc);

        rc = instead != NULL ? rpc_frame_dump(instead, RPC_MAX_REPLY, &line, &len)
                             : -ENOMEM;
        json_decref(instead);
    }
    json_decref(reply);
    return rc < 0 ? rc : send_line(c, line, len);
}

void
rpc_conn_serve(int fd, const struct rpc_service *service)
{
    struct rpc_call c = {.fd = fd, .service = service};
    struct rpc_frame_reader reader;
    const char *line;
    json_t *reply;
    size_t len;
    int rc;

    lk_init(&c.lock);
    rpc_frame_reader_init(&reader, fd, RPC_MAX_REQUEST);
    while ((rc = rpc_frame_read(&reader, CLOCK_NEVER, &line, &len)) == 1) {
        if (answer_line(&c, line, len, &reply) && send_reply(&c, reply) < 0) {
            break;
        }
    }
    if (rc == -EMSGSIZE) {
        /* The connection ends whether or not this arrives. */
        (void)send_reply(&c, error_reply(json_null(), INVALID_REQUEST,
                                         "the request is too long", rc));
    }
    rpc_frame_reader_done(&reader);
    rpc_at_end(&c, NULL, NULL);
    lk_acquire(&c.lock);
    free(call_locked(&c)->queue);
    lk_release(&c.lock);
    lk_done(&c.lock);
}

void
rpc_conn_refuse(int fd)
{
    json_t *reply = error_reply(json_null(), RPC_REFUSED,
                                "the service has too many control connections", -EBUSY);
    AUTO_FREE char *line = NULL;
    size_t len;

    if (reply != NULL && rpc_frame_dump(reply, RPC_MAX_REPLY, &line, &len) == 0) {
        /* A fresh socket takes a line at once; if not, closing it says the same. */
        (void)rpc_frame_write_some(fd, line, len);
    }
    json_decref(reply);
}
