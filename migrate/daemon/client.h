/* SPDX-License-Identifier: BSD-3-Clause */
/* client.h - one connection to a disk: a VM's, through the stack, or another service's
 * channel. The plugin opens one for each NBD connection, and submits its requests. */
#ifndef BATON_CLIENT_H
#define BATON_CLIENT_H

#include <stdbool.h>

#include "err.h"
#include "port.h"

struct service;
struct tls_peer;

/* Where a connection comes from. */
struct client_origin {
    bool is_unix;
    bool is_tcp; /* neither: vsock */
    bool is_tls;
    const struct tls_peer *peer; /* NULL: not known */
    char name[64]; /* of the process, address or machine; "" when unknown */
};

struct client;

/* export_name is a disk's name, or a channel's (port_channel.h), or "" when there is
 * exactly one disk. May block while a stack reads its first blocks.
 * -EACCES: not for those who come from there; -ENOENT: no such disk; -EAGAIN: a standby
 * that has not learned the disk yet; -ESTALE: a channel that is fenced or of another
 * epoch; -EINVAL: malformed name. */
int client_open(struct service *s, const char *export_name,
                const struct client_origin *from, struct err *e,
                struct client **ret_client);
/* Could one who comes from there open the i-th disk of the configuration now? What
 * would only show when its layers are opened is not looked at. */
bool client_may_open(struct service *s, unsigned i, const struct client_origin *from);
void client_close(struct client *c);
const struct port_info *client_info(const struct client *c);
const char *client_description(const struct client *c); /* NULL when none */
/* rq has passed port_check(client_info). -ESTALE: not performed; the caller must not
 * answer with anything else than "shutting down". */
int client_submit(struct client *c, struct req *rq); /* sets whose it is */

#endif
