/* SPDX-License-Identifier: BSD-3-Clause */
/* nbd_ports.h - rows of the port contract suite: ports over a real nbdkit. One at a
 * time; nbd_ports_close() ends the server after the port was closed. */
#ifndef BATON_NBD_PORTS_H
#define BATON_NBD_PORTS_H

#include <stdatomic.h>

#include "../nbdkit_server.h"
#include "port_channel.h"
#include "port_nbd.h"

static struct nbdkit_server nbd_ports_server;

static inline const char *
nbd_ports_size(uint64_t size, char text[32])
{
    snprintf(text, 32, "%llu", (unsigned long long)size);
    return text;
}

static inline struct port *
nbd_ports_open_nbd(uint64_t size)
{
    struct port *p = NULL;
    char text[32];

    nbdkit_server_memory(&nbd_ports_server, nbd_ports_size(size, text));
    if (port_nbd_open(
            &(struct port_nbd_opts){.uri = nbd_ports_server.uri, .connections = 2},
            NULL, &p) != 0) {
        abort();
    }
    return p;
}

/* What the memory plugin can do, so that the row has nothing to make up for. */
static inline struct port *
nbd_ports_open_channel(uint64_t size)
{
    static _Atomic uint64_t links = 1;
    struct port_channel_opts o = {
        .uris = {nbd_ports_server.address},
        .nr_uris = 1,
        .lanes = 2,
        .uuid = "6c7a35de-6a0f-4a52-9b7c-1f2f3a4b5c6d",
        .epoch = 1,
        .right = "0123456789abcdef0123456789abcdef",
        .client = "contract",
        .next_link = &links,
        .info = {.size = size,
                 .min_block = 1,
                 .pref_block = 4096,
                 .max_block = UINT32_MAX,
                 .caps = PORT_CAN_WRITE | PORT_CAN_FLUSH | PORT_CAN_FUA |
                         PORT_CAN_TRIM | PORT_CAN_ZERO | PORT_CAN_FAST_ZERO |
                         PORT_CAN_EXTENTS | PORT_CAN_CACHE | PORT_CAN_MULTI_CONN}};
    struct port *p = NULL;
    char text[32];

    nbdkit_server_memory(&nbd_ports_server, nbd_ports_size(size, text));
    if (port_channel_new(&o, &p) != 0) {
        abort();
    }
    return p;
}

static inline void
nbd_ports_close(void)
{
    nbdkit_server_done(&nbd_ports_server);
}

#endif
