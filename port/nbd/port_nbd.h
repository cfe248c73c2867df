/* SPDX-License-Identifier: BSD-3-Clause */
/* port_nbd.h - the device is an NBD export. What the loss of its server means is the
 * administrator's to say, who knows the server:
 *
 * By default the port fails for good. Whether what was under way was performed, or will
 * be, is unknown, and what was acknowledged may be gone.
 *
 * With `reconnects` requests wait for the server. That is right for one whose writes
 * end with its process, and what it has acknowledged does not (one that has a file or
 * block device of this machine, and no cache of its own); on a unix socket, for no end
 * of a process ends what is in a network. What was under way is sent again, when the
 * process that had it has ended (nbd_peer.h), before anything that overlaps it: so
 * nothing old lands on something newer. A server that hangs up and lives on is waited
 * for until it ends. */
#ifndef BATON_PORT_NBD_H
#define BATON_PORT_NBD_H

#include "port.h"

struct port_nbd_opts {
    const char *uri; /* any URI of libnbd (nbd://, nbd+unix://, nbd+vsock://); copied */
    bool readonly;
    unsigned connections; /* 1..16; more than one only if the server says that it is
                           * safe */
    bool reconnects;
    /* May be NULL. The server was lost, or there is news of why it stays so: what to
     * tell people; NULL: it is back. Called without locks, by the thread that notices.
     */
    void (*told)(void *opaque, const char *text);
    void *told_opaque; /* outlives the port */
};

/* -ECONNREFUSED, -ENOENT, ..., -EINVAL for a bad URI; -EOPNOTSUPP: reconnects, and the
 * server's process cannot be known. e has libnbd's text. */
int port_nbd_open(const struct port_nbd_opts *opts, struct err *e,
                  struct port **ret_port);

/* Notice a server that is gone although nobody has asked it for anything since. p was
 * made by port_nbd_open(). */
void port_nbd_look(struct port *p);

#endif
