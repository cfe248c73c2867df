/* SPDX-License-Identifier: BSD-3-Clause */
/* uri_address.h - the socket address of a parsed URI; for uri_*.c only. */
#ifndef BATON_URI_ADDRESS_H
#define BATON_URI_ADDRESS_H

#include <sys/socket.h>

#include "uri.h"

/* u is unix, tcp or vsock. Returns the length of what was written to *addr. "localhost"
 * is 127.0.0.1 for listeners and clients alike. */
socklen_t uri_address(const struct uri *u, struct sockaddr_storage *addr);

#endif
