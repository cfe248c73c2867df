/* SPDX-License-Identifier: BSD-3-Clause */
/* nbd_address.h - the parts of the address of an NBD server; for nbd_conn.c only. */
#ifndef BATON_NBD_ADDRESS_H
#define BATON_NBD_ADDRESS_H

#include <stdint.h>

#include "err.h"

#define NBD_HOST_MAX 256

struct nbd_address {
    enum { NBD_UNIX, NBD_TCP, NBD_VSOCK, NBD_URI } kind;
    char host[NBD_HOST_MAX]; /* tcp */
    const char *rest;        /* path, port or URI; points into what was parsed */
    uint32_t cid, port;      /* vsock */
};

/* unix:PATH, tcp:HOST:PORT, tcp:[V6]:PORT, vsock:CID:PORT; all else is taken for a URI,
 * which libnbd judges. -EINVAL and a sentence. */
int nbd_address_parse(const char *s, struct err *e, struct nbd_address *ret_address);

#endif
