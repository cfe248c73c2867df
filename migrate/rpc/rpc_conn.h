/* SPDX-License-Identifier: BSD-3-Clause */
/* rpc_conn.h - one connection of an rpc_server, from its first line to its end. */
#ifndef BATON_RPC_CONN_H
#define BATON_RPC_CONN_H

#include "rpc.h"

/* What is served, and to whom: peer and admit are NULL for a local socket. */
struct rpc_service {
    const struct rpc_method *methods;
    void *ctx;
    rpc_admit admit;
    const struct tls_peer *peer;
    struct tls_stream *stream; /* NULL without TLS */
};

/* Serve the connection fd (borrowed) until either side ends it; shutdown(2) of fd from
 * another thread does. Runs handlers on this thread. */
void rpc_conn_serve(int fd, const struct rpc_service *service);

/* The same for a TCP or vsock connection, whose peer has to be found out first: by TLS,
 * or from its address. service->admit is not NULL. */
void rpc_conn_serve_net(int fd, const struct rpc_service *service);

/* Tell the other side that there are too many; does not wait. */
void rpc_conn_refuse(int fd);

#endif
