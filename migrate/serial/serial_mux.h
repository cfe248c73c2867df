/* SPDX-License-Identifier: BSD-3-Clause */
/* serial_mux.h - connections of local sockets over one wire (serial_wire.h). Either
 * side opens them, to what the other one offers by a name. Each has a window of its
 * own, so that one that nobody reads holds up no other. When the call ends all of them
 * end. One thread. */
#ifndef BATON_SERIAL_MUX_H
#define BATON_SERIAL_MUX_H

#include <poll.h>
#include <stdbool.h>

#include "serial_wire.h"
#include "uri.h"

#define SERIAL_MAX_STREAMS 256
#define SERIAL_MAX_NAMES 16

/* By name, on this side: to be connected to, or listened on for the other side. */
struct serial_name {
    char name[64];
    struct uri uri; /* unix */
};

struct serial_mux;

/* -ENOMEM only. offers outlive it. */
int serial_mux_new(const struct serial_name *offers, unsigned nr_offers,
                   struct serial_mux **ret_mux);
void serial_mux_free(struct serial_mux *m); /* NULL is accepted */

/* Its wire, for the line's bytes; serial_mux_hear() after new ones, and after
 * wire_start() and wire_hang_up(). */
struct wire *serial_mux_wire(struct serial_mux *m);
void serial_mux_hear(struct serial_mux *m);

/* False while so much waits to be sent that new connections have to wait as well. */
bool serial_mux_may_open(const struct serial_mux *m);

/* Carry fd (taken) to what the other side offers as name; closes it when that cannot
 * be, since nobody is there or there are too many. */
void serial_mux_open(struct serial_mux *m, const char *name, int fd);

/* What to poll for, SERIAL_MAX_STREAMS entries, and what has come of it. */
void serial_mux_prepare(struct serial_mux *m, struct pollfd *fds);
void serial_mux_serve(struct serial_mux *m, const struct pollfd *fds);

#endif
