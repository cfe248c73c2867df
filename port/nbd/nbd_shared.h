/* SPDX-License-Identifier: BSD-3-Clause */
/* nbd_shared.h - one NBD connection that many threads use at once, each blocking until
 * its request has an answer. Internal to port/.
 *
 * It has no thread. A thread sends its own request and then waits; one of
 * the waiting threads drives the socket for all of them, and hands the socket on when
 * it has its own answer. With one request at a time that is send, poll, receive, all on
 * the caller's thread. Any thread may call anything, but for close.
 */
#ifndef BATON_NBD_SHARED_H
#define BATON_NBD_SHARED_H

#include "nbd_conn.h"

struct nbd_shared;

/* As nbd_conn_open(); also -EMFILE, -ENFILE. */
int nbd_shared_open(const struct nbd_conn_opts *o, struct err *e,
                    struct nbd_shared **ret_shared);

/* What the server offers. max_block is what fits into one request. Valid until close.
 */
const struct port_info *nbd_shared_info(const struct nbd_shared *s);

/* As nbd_conn_description(). */
const char *nbd_shared_description(const struct nbd_shared *s);

/* Send rq as one request and wait for the answer; call receives extents. 0 or -errno,
 * two of them special. -ENOTCONN: the connection was lost before the answer, rq may or
 * may not have taken effect, and every later request fails likewise. -ESHUTDOWN: the
 * server answered NBD_ESHUTDOWN. Without an answer by rq->deadline_ns the connection is
 * shut down, so that the request is not performed when it is not waited for any more:
 * -ENOTCONN for everybody. */
int nbd_shared_exchange(struct nbd_shared *s, const struct req *rq,
                        struct nbd_call *call);

/* Drop the connection: every exchange, now and later, returns -ENOTCONN. Does not
 * block; may be repeated. */
void nbd_shared_shutdown(struct nbd_shared *s);

/* False once the connection is lost, also if nobody has used it since. */
bool nbd_shared_is_alive(struct nbd_shared *s);

/* No exchange is running. NULL is accepted. */
void nbd_shared_close(struct nbd_shared *s);

#endif
