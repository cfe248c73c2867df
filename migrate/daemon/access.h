/* SPDX-License-Identifier: BSD-3-Clause */
/* access.h - what those who come from elsewhere may do (allow_*). Over TLS they have
 * the names of tls_peer.h, over vsock that of their machine, "vsock:CID". Over a unix
 * socket nobody has a name, and the socket itself says who may come. */
#ifndef BATON_ACCESS_H
#define BATON_ACCESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include <jansson.h>

#include "client.h"
#include "config.h"
#include "err.h"
#include "tls_peer.h"

/* An rpc_admit(); ctx is the struct service. Every disk that the call names has to be
 * open to the peer, and the method has to be one for other hosts. -EACCES. */
int allow_call(void *service, const struct tls_peer *peer, const char *method,
               const json_t *params, struct err *e);

/* Of a connection from addr (AF_UNSPEC: not known). machine: where the name of one that
 * comes by vsock is put; lent to the result. */
struct client_origin allow_origin(const struct sockaddr_storage *addr, bool is_tls,
                                  struct tls_peer *machine);

/* What all connections of one client have in common: its process (pid, of a unix
 * socket), its address or its machine. */
void allow_name(const struct sockaddr_storage *addr, int64_t pid,
                struct client_origin *from);

/* May this connection see what there is to connect to? -EACCES when it comes by plain
 * TCP and TLS is needed. */
int allow_connection(const struct service_config *c, const struct client_origin *from,
                     struct err *e);

/* May it open the disk, or a channel to it? -EACCES. */
int allow_open(const struct service_config *c, const struct disk_config *d,
               const struct client_origin *from, struct err *e);

#endif
