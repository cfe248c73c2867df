/* SPDX-License-Identifier: BSD-3-Clause */
/* nbd_link.h - the connections to the NBD server that is a device, from their opening
 * to the loss of the first. Internal to port/.
 *
 * All connections share one fate: when one is lost the server has most likely died, and
 * a flush on another one would not cover what the lost one had acknowledged. */
#ifndef BATON_NBD_LINK_H
#define BATON_NBD_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "port.h"

#define NBD_LINK_MAX 16

struct nbd_link;

/* Errors are those of nbd_conn_open(). wants_end: that the process which serves is
 * known, so that its end is; -EOPNOTSUPP when it cannot be. */
int nbd_link_open(const char *uri, unsigned connections, bool wants_end,
                  uint64_t deadline_ns, struct err *e, struct nbd_link **ret_link);

struct port_info nbd_link_info(const struct nbd_link *l);

/* Without the deadline of rq. Special: -ENOTCONN, lost, perhaps performed; so are all
 * others that are under way, and all later ones. */
int nbd_link_submit(struct nbd_link *l, const struct req *rq);

/* False once a connection is lost, also if nobody has used it since. */
bool nbd_link_is_alive(struct nbd_link *l);

/* Drop all connections. */
void nbd_link_shutdown(struct nbd_link *l);

/* Opened with wants_end: 0 when the server's processes have ended: nothing that they
 * were sent is performed any more. Else the number of one that has not. */
pid_t nbd_link_still_runs(const struct nbd_link *l);

/* Nobody is in it. NULL is accepted. */
void nbd_link_close(struct nbd_link *l);

#endif
