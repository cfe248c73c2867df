/* SPDX-License-Identifier: BSD-3-Clause */
/* port_nbd.h - NBD by libnbd: as the device (any NBD server) and as port B (the
 * channel to another Baton service). One implementation; they differ in what a lost
 * connection means. */
#ifndef BATON_PORT_NBD_H
#define BATON_PORT_NBD_H

#include "port.h"

/* The device is an NBD export; uri is any URI of libnbd (nbd://, nbd+unix://,
 * nbd+vsock://). Several connections are used only if the server says that it is
 * multi-conn safe. A lost connection fails the requests on it with -EIO: a device that
 * loses its server has failed, and whether its last writes took effect is unknown.
 * -ECONNREFUSED, -ENOENT, ..., -EINVAL for a bad URI; e has libnbd's text. */
int port_nbd_open(const char *uri, bool readonly, unsigned connections, struct err *e,
                  struct port **ret_port);

#endif
