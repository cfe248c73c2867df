/* SPDX-License-Identifier: BSD-3-Clause */
/* nbd_conn.h - one NBD connection, driven by events. Internal to port/; nbd_shared.h
 * puts it at the disposal of many threads. nbd_conn.c is the only file that knows
 * libnbd.
 *
 * Not thread-safe: the caller serialises every call but nbd_conn_info() and
 * nbd_conn_description(). Nothing but nbd_conn_open() blocks. Callbacks run inside the
 * calls that say so, on their thread, and must not call back.
 */
#ifndef BATON_NBD_CONN_H
#define BATON_NBD_CONN_H

#include "nbd_peer.h"
#include "port.h"

#define NBD_CALL_MAX_EXTENTS 64

struct nbd_conn;

struct nbd_conn_opts {
    const char *address; /* of a server (URI_FOR_CHANNEL of uri.h); without export_name
                          * an NBD URI, which also names the export */
    const char *export_name; /* NULL: address is an NBD URI */
    int cancel_fd;           /* as soon as it can be read the attempt ends; -1: none */
    uint64_t deadline_ns;    /* of the attempt, negotiation included */
    unsigned
        dead_after_ms; /* TCP: silence that means the peer is gone; 0: the system's */
    bool wants_description;
    struct nbd_peer *peer; /* NULL; or learns who serves, and outlives the connection */
};

/* A request that has no answer yet. Belongs to the caller; stays where it is, as does
 * the request's buffer, from nbd_conn_issue() until done is called or nbd_conn_drop()
 * has returned. */
struct nbd_call {
    void (*done)(struct nbd_call *call, int rc);
    void *opaque; /* the caller's */
    bool is_done; /* done was called */
    uint64_t off; /* of the request */
    unsigned nr_extents;
    struct { /* of an extents request that is done, from off on, contiguous */
        uint32_t len, type;
    } extents[NBD_CALL_MAX_EXTENTS];
};

/* Connect and negotiate. tcp: needs TLS if the process has it (tls_settings.h), and
 * without it is for loopback, unless plain TCP is allowed: -EACCES. -ETIMEDOUT;
 * -ECANCELED (cancel_fd); -EINVAL: bad address, or block sizes that make no sense;
 * -ECONNREFUSED, -ENOENT, ...: of connecting; -EIO when libnbd names no errno. e says
 * which address and why. Names are looked up inside libnbd, which neither deadline nor
 * cancel_fd can interrupt: give numbers where that matters. */
int nbd_conn_open(const struct nbd_conn_opts *o, struct err *e,
                  struct nbd_conn **ret_conn);

/* What the server offers. max_block is what fits into one request. Valid until close.
 */
const struct port_info *nbd_conn_info(const struct nbd_conn *c);

/* What the server says of the export in words; NULL when it says nothing or was not
 * asked. Valid until close. */
const char *nbd_conn_description(const struct nbd_conn *c);

/* Send rq, or queue it to be sent, with call->done set. 0: done is called once, perhaps
 * now, or it may never be if the connection is dropped first; rc is 0, the server's
 * -errno (-ESHUTDOWN is NBD_ESHUTDOWN) or -ENOTCONN: lost before the answer. -ENOTCONN:
 * lost before it was sent; other -errno: refused by libnbd; done is not called then. */
int nbd_conn_issue(struct nbd_conn *c, const struct req *rq, struct nbd_call *call);

/* What to poll for: a descriptor (-1 once lost) and POLLIN, POLLOUT or both. */
int nbd_conn_fd(struct nbd_conn *c);
short nbd_conn_events(struct nbd_conn *c);

/* Has some input been received already, so that the descriptor does not show it? Then
 * it counts as POLLIN, and is not to be waited for. */
bool nbd_conn_has_input(struct nbd_conn *c);

/* The descriptor has these events, as poll has just said (revents; libnbd does not bear
 * to be told of input that is not there): send and receive. Calls done. 0, or
 * -ENOTCONN: the connection is lost. */
int nbd_conn_feed(struct nbd_conn *c, short revents);

/* Let the socket go, now. Calls that are not done may be told of it (done, -ENOTCONN)
 * before this returns, or not; afterwards no call and no buffer is known here. Then
 * only info, description and close are of use. Does not block; may be repeated. */
void nbd_conn_drop(struct nbd_conn *c);

/* Say goodbye if the connection still lives. No call is without an answer, or it was
 * dropped. NULL is accepted. */
void nbd_conn_close(struct nbd_conn *c);

#endif
