/* SPDX-License-Identifier: BSD-3-Clause */
/* serial_line.h - the line below a wire: in a VM the device of a virtio-serial port (or
 * any other character device), on the host the unix socket of its chardev. Opened again
 * whenever it is lost. One thread. */
#ifndef BATON_SERIAL_LINE_H
#define BATON_SERIAL_LINE_H

#include <poll.h>

#include "serial_wire.h"
#include "uri.h"

struct serial_line {
    struct uri uri;       /* text: what was given; of a socket: the rest, too */
    bool is_socket;       /* then we are the caller */
    bool has_nobody;      /* open, but nobody is at the other end */
    int fd;               /* -1: not open */
    int signal_fd;        /* SIGIO: somebody may have come */
    int why;              /* the latest -errno of an open, said once */
    uint64_t next_try_ns; /* when to open it again */
    uint64_t backoff_ns;
};

/* port: unix:PATH, or the path of a device. -EINVAL and a sentence; other -errno when
 * there is no descriptor to be had. Signals: SIGIO is blocked from now on. */
int serial_line_init(struct serial_line *l, const char *port, struct err *e);
void serial_line_done(struct serial_line *l);

/* What to poll for, two entries, and until when at most; opens the line when it is
 * time. Before and after, wire_next() tells whether that has changed anything. */
#define SERIAL_LINE_FDS 2
uint64_t serial_line_prepare(struct serial_line *l, struct wire *w, struct pollfd *fds);
void serial_line_serve(struct serial_line *l, struct wire *w, const struct pollfd *fds);

#endif
