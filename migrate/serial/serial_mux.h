/* SPDX-License-Identifier: BSD-3-Clause */
/* serial_mux.h - connections of local sockets (streams) over one wire (serial_wire.h).
 * Either side opens a stream to a socket that the other side offers by a name. Each
 * stream has a window of its own, so that a stream that nobody reads holds up no other.
 * When the wire's call ends, all streams end. One thread. */
#ifndef BATON_SERIAL_MUX_H
#define BATON_SERIAL_MUX_H

#include <poll.h>
#include <stdbool.h>

#include "serial_wire.h"
#include "uri.h"

#define SERIAL_MAX_STREAMS 256
#define SERIAL_MAX_NAMES 16

/* A socket of this side, and the name for it that both sides know. */
struct serial_name {
    char name[64];
    struct uri uri; /* unix */
};

struct serial_mux;

/* offers are the caller's and outlive the mux. 0 or -ENOMEM. */
int serial_mux_new(const struct serial_name *offers, unsigned nr_offers,
                   struct serial_mux **ret_mux);
void serial_mux_free(struct serial_mux *m); /* NULL is accepted */

/* Its wire, which the line fills and empties. To be followed by serial_mux_hear()
 * whenever bytes have come, and after wire_start() and wire_hang_up(). */
struct wire *serial_mux_wire(struct serial_mux *m);
void serial_mux_hear(struct serial_mux *m);

/* False while so much waits to be sent that a new connection has to wait, too. */
bool serial_mux_may_open(const struct serial_mux *m);

/* Connect fd, which is taken, to the socket that the other side offers as name. fd is
 * closed if nobody is there, or if there are SERIAL_MAX_STREAMS streams. */
void serial_mux_open(struct serial_mux *m, const char *name, int fd);

/* Fill SERIAL_MAX_STREAMS entries for poll(); then serve what poll() has found. */
void serial_mux_prepare(struct serial_mux *m, struct pollfd *fds);
void serial_mux_serve(struct serial_mux *m, const struct pollfd *fds);

#endif
