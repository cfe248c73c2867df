/* SPDX-License-Identifier: BSD-3-Clause */
/* serial_line.h - the line below a wire (serial_wire.h). In a VM it is the device of a
 * virtio-serial port, or any other character device; on the host it is the unix socket
 * of the port's chardev. It is opened again whenever it is lost. One thread. */
#ifndef BATON_SERIAL_LINE_H
#define BATON_SERIAL_LINE_H

#include <poll.h>

#include "serial_wire.h"
#include "uri.h"

struct serial_line {
    struct uri uri;       /* of a device only .text, the path, counts */
    bool is_socket;       /* then we are the caller */
    bool has_nobody;      /* open, but nobody is at the other end */
    int fd;               /* -1: not open */
    int signal_fd;        /* SIGIO: somebody may have come */
    int why;              /* -errno of the last open, to log each reason once */
    uint64_t next_try_ns; /* when to open it again */
    uint64_t backoff_ns;
};

/* port: unix:PATH, or the absolute path of a device, which is opened later. -EINVAL and
 * a sentence; other -errno when no descriptor can be had. Blocks SIGIO for good. */
int serial_line_init(struct serial_line *l, const char *port, struct err *e);
void serial_line_done(struct serial_line *l);

/* Fill SERIAL_LINE_FDS entries for poll() and return its deadline; opens the line when
 * it is time. Then serial_line_serve() reads and writes what poll() has found. After
 * either call wire_next() tells what has changed. */
#define SERIAL_LINE_FDS 2
uint64_t serial_line_prepare(struct serial_line *l, struct wire *w, struct pollfd *fds);
void serial_line_serve(struct serial_line *l, struct wire *w, const struct pollfd *fds);

#endif
