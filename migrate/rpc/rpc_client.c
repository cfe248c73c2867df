/* SPDX-License-Identifier: BSD-3-Clause */
/* One call at a time. After anything but a well-formed reply the stream may be in the
 * middle of a line or of an answer that nobody waits for, so the client is spent. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "breakpoint.h"
#include "cleanup.h"
#include "clock.h"
#include "json_depth.h"
#include "rpc.h"
#include "rpc_frame.h"
#include "tls.h"

#define MAX_REPLY_DEPTH (2 * RPC_MAX_DEPTH)
#define SSH_END_TIMEOUT_NS (1 * NS_PER_S)
#define MAX_ERRNO 4095

struct rpc_client {
    int fd;                 /* what is read and written */
    int tcp_fd;             /* below tls; else -1 */
    struct tls_stream *tls; /* NULL when there is none */
    int pid;                /* of ssh; 0 when there is none */
    char where[sizeof((struct uri *)NULL)->text];
    json_int_t last_id;
    bool is_spent;
    struct rpc_frame_reader reader;
};

/* Control over TCP is never plain, not even on loopback. */
static int
connect_tls(struct rpc_client *c, const struct uri *u, uint64_t deadline_ns,
            struct err *e)
{
    const struct tls_settings *t = tls_settings_get();
    AUTO_FD int fd = -1;
    int rc;

    if (!tls_is_on(t)) {
        return err_set(e, -EINVAL,
                       "%s: control over tcp needs TLS, and there is neither "
                       "tls-certificates nor tls-psk here",
                       u->text);
    }
    rc = uri_connect(u, deadline_ns, e, &fd, &c->pid);
    if (rc < 0) {
        return rc;
    }
    rc = tls_connect(t, fd, u->host, deadline_ns, e, &c->tls);
    if (rc < 0) {
        return err_prefix(e, rc, "cannot connect to %s", u->text);
    }
    c->tcp_fd = TAKE_FD(fd);
    c->fd = tls_stream_fd(c->tls);
    return 0;
}

int
rpc_client_open(const struct uri *u, uint64_t deadline_ns, struct err *e,
                struct rpc_client **ret_client)
{
    struct rpc_client *c = calloc(1, sizeof *c);
    int rc;

    if (c == NULL) {
        return err_set(e, -ENOMEM, "cannot connect to %s: out of memory", u->text);
    }
    c->tcp_fd = -1;
    (void)snprintf(c->where, sizeof c->where, "%s", u->text); /* same size */
    rc = u->kind == URI_TCP ? connect_tls(c, u, deadline_ns, e)
                            : uri_connect(u, deadline_ns, e, &c->fd, &c->pid);
    if (rc < 0) {
        free(c);
        return rc;
    }
    rpc_frame_reader_init(&c->reader, c->fd, RPC_MAX_REPLY);
    *ret_client = c;
    return 0;
}

/* ssh ends by itself when its input does, unless the network holds it up. */
static void
reap_ssh(pid_t pid)
{
    AUTO_FD int fd = pidfd_open(pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t deadline_ns = clock_deadline_ns(SSH_END_TIMEOUT_NS);
    int n = 0;

    if (fd >= 0) {
        do {
            n = poll(&p, 1, clock_poll_ms(deadline_ns));
        } while (n < 0 && errno == EINTR);
    }
    if (n <= 0) {
        (void)kill(pid, SIGKILL); /* it may have ended meanwhile */
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

void
rpc_client_close(struct rpc_client *c)
{
    if (c == NULL) {
        return;
    }
    if (c->tls != NULL) {
        tls_stream_close(c->tls);
        (void)close(c->tcp_fd); /* what it lost, a missing reply has told */
    } else {
        (void)close(c->fd); /* the same */
    }
    if (c->pid > 0) {
        reap_ssh(c->pid);
    }
    rpc_frame_reader_done(&c->reader);
    free(c);
}

int
rpc_client_fd(const struct rpc_client *c)
{
    return c->fd;
}

/* Steals params. */
static int
send_request(struct rpc_client *c, const char *method, json_t *params,
             uint64_t deadline_ns, struct err *e)
{
    json_t *j =
        json_pack("{s:s, s:I, s:s, s:o}", "jsonrpc", "2.0", "id", ++c->last_id,
                  "method", method, "params", params != NULL ? params : json_object());
    AUTO_FREE char *line = NULL;
    size_t len = 0;
    int rc = j != NULL ? rpc_frame_dump(j, RPC_MAX_REQUEST, &line, &len) : -ENOMEM;

    json_decref(j);
    if (rc < 0) {
        return err_set(e, rc, "%s: cannot send the request: %s", method,
                       err_text(NULL, rc));
    }
    rc = rpc_frame_write(c->fd, line, len, deadline_ns);
    if (rc == -EPIPE || rc == -ECONNRESET) {
        return 0; /* it may have said why before it hung up: read that */
    }
    if (rc < 0) {
        c->is_spent = true;
        return err_set(e, rc, "%s: cannot send the request: %s", method,
                       err_text(NULL, rc));
    }
    return 0;
}

static int
errno_of(const char *name)
{
    for (int i = 1; name != NULL && i <= MAX_ERRNO; i++) {
        const char *n = strerrorname_np(i);

        if (n != NULL && strcmp(n, name) == 0) {
            return -i;
        }
    }
    return -EREMOTEIO;
}

static int
malformed(const char *method, const char *what, struct err *e)
{
    return err_set(e, -EPROTO, "%s: the answer is malformed: %s", method, what);
}

/* Returns -EPROTO or what the error says. */
static int
read_error(const char *method, const json_t *error, struct err *e, int *ret_code,
           bool *ret_is_reply)
{
    const json_t *code = json_object_get(error, "code");
    const char *message = json_string_value(json_object_get(error, "message"));
    const json_t *data = json_object_get(error, "data");
    json_int_t n = json_integer_value(code);

    if (!json_is_integer(code) || message == NULL || n < INT_MIN || n > INT_MAX) {
        return malformed(method, "its error has no code or no message", e);
    }
    *ret_is_reply = true;
    *ret_code = (int)n;
    return err_set(e, errno_of(json_string_value(json_object_get(data, "errno"))), "%s",
                   message);
}

/* Judge one object: a reply to request id, which ends the call, or a notification. */
static int
read_reply(struct rpc_client *c, const char *method, const json_t *j, struct err *e,
           int *ret_code, json_t **ret_result)
{
    const json_t *id = json_object_get(j, "id");
    const json_t *error = json_object_get(j, "error");
    json_t *result = json_object_get(j, "result");
    bool is_reply = false, is_general = json_is_null(id) && error != NULL;
    int rc;

    if (!is_general && (!json_is_integer(id) || json_integer_value(id) != c->last_id)) {
        return malformed(method, "it belongs to another request", e);
    }
    if ((error != NULL) == (result != NULL)) {
        return malformed(method, "it needs either result or error", e);
    }
    if (result != NULL) {
        *ret_result = json_incref(result);
        c->is_spent = false;
        return 0;
    }
    rc = read_error(method, error, e, ret_code, &is_reply);
    c->is_spent = !is_reply;
    return rc;
}

static bool
deliver_notification(const json_t *j, rpc_on_notify on_notify, void *opaque)
{
    const char *method = json_string_value(json_object_get(j, "method"));
    json_t *params = json_object_get(j, "params"), *none = NULL;

    if (method == NULL || json_object_get(j, "id") != NULL) {
        return false;
    }
    if (on_notify != NULL) {
        none = params == NULL ? json_object() : NULL;
        on_notify(opaque, method, params != NULL ? params : none);
        json_decref(none);
    }
    return true;
}

/* A new reference to the next object, or NULL and *ret_rc. */
static json_t *
receive_object(struct rpc_client *c, const char *method, uint64_t deadline_ns,
               struct err *e, int *ret_rc)
{
    json_error_t error;
    const char *line, *version;
    json_t *j;
    size_t len;
    int rc = rpc_frame_read(&c->reader, deadline_ns, &line, &len);

    if (rc == -EMSGSIZE) {
        *ret_rc = malformed(method, "it is too long", e);
        return NULL;
    }
    if (rc <= 0) {
        const char *trouble = c->tls != NULL ? tls_stream_trouble(c->tls) : NULL;

        rc = rc == 0 || rc == -EPIPE ? -ECONNRESET : rc;
        if (rc == -ECONNRESET && trouble != NULL) {
            *ret_rc =
                err_set(e, rc, "%s: the other side has ended TLS: %s", method, trouble);
            return NULL;
        }
        *ret_rc =
            rc == -ECONNRESET
                ? err_set(e, rc, "%s: the connection to %s broke before the answer",
                          method, c->where)
            : rc == -ETIMEDOUT
                ? err_set(e, rc, "%s: %s did not answer in time", method, c->where)
                : err_set(e, rc, "%s: %s: %s", method, c->where, err_text(NULL, rc));
        return NULL;
    }
    if (json_depth_exceeds(line, len, MAX_REPLY_DEPTH)) {
        *ret_rc = malformed(method, "it is nested too deep", e);
        return NULL;
    }
    j = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
    if (j == NULL) {
        *ret_rc = malformed(method, error.text, e);
        return NULL;
    }
    version = json_string_value(json_object_get(j, "jsonrpc"));
    if (version == NULL || strcmp(version, "2.0") != 0) {
        *ret_rc = malformed(method, "it is not JSON-RPC 2.0", e);
        json_decref(j);
        return NULL;
    }
    return j;
}

/* NOLINTBEGIN(readability-function-size): a call in one sentence */
int
rpc_call(struct rpc_client *c, const char *method, json_t *params,
         rpc_on_notify on_notify, void *opaque, uint64_t deadline_ns, struct err *e,
         int *ret_code, json_t **ret_result)
/* NOLINTEND(readability-function-size) */
{
    int rc, code = 0;

    if (c->is_spent) {
        json_decref(params);
        rc = err_set(e, -ECONNRESET,
                     "%s: an earlier call has left this connection unusable", method);
    } else {
        rc = send_request(c, method, params, deadline_ns, e);
    }
    if (rc == 0) {
        json_t *j;

        c->is_spent = true; /* until a reply has come */
        if (strcmp(method, "ping") != 0) {
            (void)BREAKPOINT("rpc-sent"); /* of what has an outcome */
        }
        while ((j = receive_object(c, method, deadline_ns, e, &rc)) != NULL &&
               deliver_notification(j, on_notify, opaque)) {
            json_decref(j);
        }
        if (j != NULL) {
            rc = read_reply(c, method, j, e, &code, ret_result);
            json_decref(j);
        }
    }
    if (ret_code != NULL) {
        *ret_code = code;
    }
    return rc;
}
