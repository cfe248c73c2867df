/* SPDX-License-Identifier: BSD-3-Clause */
/* nbd_request.h - a request of a port as one or more requests of NBD. Internal to
 * port/.
 */
#ifndef BATON_NBD_REQUEST_H
#define BATON_NBD_REQUEST_H

#include "nbd_shared.h"

/* What a port over s offers: what the server does, but payloads of any length, which
 * are sent in parts. */
struct port_info nbd_request_info(const struct nbd_shared *s);

/* Perform rq, which port_submit() could have sent to a port of nbd_request_info().
 * Errors of nbd_shared_exchange(); an extents request also returns what its sink does.
 * The sink runs on the caller's thread, without a lock. */
int nbd_request_submit(struct nbd_shared *s, const struct req *rq);

#endif
