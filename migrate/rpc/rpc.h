/* SPDX-License-Identifier: BSD-3-Clause */
/* rpc.h - JSON-RPC 2.0 over a stream socket, one object a line, bounded size.
 *
 * A server runs one thread per connection (at most RPC_MAX_CONNECTIONS; one more is
 * told so and closed) and answers the requests of a connection in order. A handler may
 * take long and send notifications meanwhile. Anything that is not a well-formed
 * request gets a JSON-RPC error (-32700 parse, -32600 invalid request, -32601 unknown
 * method, -32602 bad parameters); after a line that is too long the connection is
 * closed, since its end is unknown. Other connections never notice.
 */
#ifndef BATON_RPC_H
#define BATON_RPC_H

#include <stdbool.h>

#include <jansson.h>

#include "err.h"
#include "tls_peer.h"
#include "urgency.h"
#include "uri.h"

#define RPC_MAX_REQUEST                                                                \
    (256U * 1024) /* bytes of one request line, newline included                       \
                   */
#define RPC_MAX_REPLY (16U * 1024 * 1024)
#define RPC_MAX_DEPTH 32 /* nesting of a request */
#define RPC_MAX_CONNECTIONS 256

/* Codes of application errors are exit statuses of the command line. */
#define RPC_REFUSED 1   /* nothing changed */
#define RPC_COMMITTED 3 /* committed but not finished; the services go on */

struct rpc_call; /* one request being handled; lent to the handler for its duration */

/* Returns 0 and a new reference in *ret_result (NULL means null), or a negative errno
 * with the sentence in e: the error reply has code RPC_REFUSED (RPC_COMMITTED for
 * -EINPROGRESS, -32602 for -EBADMSG), that sentence, and data {"errno": "EBUSY"}.
 * params is borrowed, always an object. Runs on the connection's thread. */
typedef int (*rpc_handler)(void *ctx, struct rpc_call *call, json_t *params,
                           struct err *e, json_t **ret_result);

struct rpc_method {
    const char *name; /* NULL ends a table */
    rpc_handler handler;
};

/* Send a notification to the caller; steals params. Errors are swallowed: a caller
 * that is gone stops nothing. */
void rpc_notify(struct rpc_call *call, const char *method, json_t *params);

/* Of the connection's thread and of what brings its messages, from now on. NULL is
 * accepted: only the thread. */
void rpc_set_urgency(const struct rpc_call *call, enum urgency u);

/* Call fn with arg, on the connection's thread, when the connection ends; what was set
 * by an earlier call is called now. */
void rpc_at_end(struct rpc_call *call, void (*fn)(void *arg), void *arg);

/* Has the caller closed its end? */
bool rpc_is_gone(const struct rpc_call *call);

struct rpc_server;

/* Serve on listen_fd (owned on success) with a table that outlives the server. */
int rpc_server_new(int listen_fd, const struct rpc_method *methods, void *ctx,
                   struct err *e, struct rpc_server **ret_server);
/* The same for a TCP or vsock listener. A client of the former has to prove by TLS who
 * it is (the process's tls_settings.h) within RPC_TLS_TIMEOUT_NS; one that does not
 * is logged. Each call needs the consent of admit: 0, or -errno and the sentence of the
 * refusal in e. */
#define RPC_TLS_TIMEOUT_NS UINT64_C(10000000000)
typedef int (*rpc_admit)(void *ctx, const struct tls_peer *peer, const char *method,
                         const json_t *params, struct err *e);
int rpc_server_new_net(int listen_fd, const struct rpc_method *methods, void *ctx,
                       rpc_admit admit, struct err *e, struct rpc_server **ret_server);
/* Stop accepting, shut the connections down, wait for handlers. NULL is accepted. */
void rpc_server_free(struct rpc_server *s);

struct rpc_client; /* one thread at a time */

int rpc_client_open(const struct uri *u, uint64_t deadline_ns, struct err *e,
                    struct rpc_client **ret_client);
void rpc_client_close(struct rpc_client *c); /* NULL is accepted */

typedef void (*rpc_on_notify)(void *opaque, const char *method, json_t *params);

/* Call and wait for the result; steals params (NULL: {}). Notifications that arrive
 * meanwhile go to on_notify (may be NULL). 0 and a new reference in *ret_result.
 * -ETIMEDOUT: no answer by deadline_ns; the client is unusable afterwards (close it).
 * -ECONNRESET: the connection broke before the answer; -EPROTO: not JSON-RPC.
 * Error reply: the errno in its data (-EREMOTEIO if it has none), e has its message,
 * *ret_code (may be NULL) its code; otherwise *ret_code is 0. */
int rpc_call(struct rpc_client *c, const char *method, json_t *params,
             rpc_on_notify on_notify, void *opaque, uint64_t deadline_ns, struct err *e,
             int *ret_code, json_t **ret_result);

/* The socket, so that a waiting thread can shutdown(2) it from elsewhere. */
int rpc_client_fd(const struct rpc_client *c);

#endif
