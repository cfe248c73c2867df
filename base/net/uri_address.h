/* SPDX-License-Identifier: BSD-3-Clause */
/* uri_address.h - the socket address of a parsed URI; for uri_*.c only. */
#ifndef BATON_URI_ADDRESS_H
#define BATON_URI_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "uri.h"

/* Is it tcp with a name that has to be looked up? */
bool uri_is_host_name(const struct uri *u);

/* u is unix, tcp with an address (or localhost), or vsock. Returns the length of what
 * was written to *addr. "localhost" is 127.0.0.1 for listeners and clients alike. */
socklen_t uri_address(const struct uri *u, struct sockaddr_storage *addr);

#endif
