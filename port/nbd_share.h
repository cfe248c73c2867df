/* SPDX-License-Identifier: BSD-3-Clause */
/* nbd_share.h - one NBD connection that many threads use at once, each blocking until
 * its request has an answer. Internal to port/.
 *
 * It has no thread. A thread that submits sends its own request and then waits; one of
 * the waiting threads drives the socket for all of them, and hands the socket on when
 * it has its own answer. With one request at a time that is send, poll, receive, all on
 * the caller's thread. Any thread may call anything, but for close.
 */
#ifndef BATON_NBD_SHARE_H
#define BATON_NBD_SHARE_H

#include "nbd_conn.h"

struct nbd_share;

/* As nbd_conn_open(); also -EMFILE, -ENFILE. */
int nbd_share_open(const struct nbd_conn_opts *o, struct err *e,
                   struct nbd_share **ret_share);

/* What the server offers. max_block is UINT32_MAX: payloads that are longer than the
 * server takes are sent in parts. Valid until close. */
const struct port_info *nbd_share_info(const struct nbd_share *s);

/* Perform rq, which port_submit() could have sent to a port of nbd_share_info(). Like
 * port_ops.submit, with two special errors. -ENOTCONN: the connection was lost before
 * the answer, rq may or may not have taken effect, and every later request fails
 * likewise. -ESHUTDOWN: the server answered NBD_ESHUTDOWN. The sink of an extents
 * request runs on the caller's thread without a lock; its error is passed on. */
int nbd_share_submit(struct nbd_share *s, const struct req *rq);

/* Drop the connection: every submit, now and later, returns -ENOTCONN. Does not block;
 * may be repeated. */
void nbd_share_shutdown(struct nbd_share *s);

/* False once the connection is lost, also if nobody has submitted since. */
bool nbd_share_is_alive(struct nbd_share *s);

/* No submit is running. NULL is accepted. */
void nbd_share_close(struct nbd_share *s);

/* Spread threads over nr > 0 connections: always the same one of them for a thread. */
unsigned nbd_share_of_thread(unsigned nr);

#endif
