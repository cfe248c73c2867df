/* SPDX-License-Identifier: BSD-3-Clause */
/* port_file.h - a regular file or a block device. */
#ifndef BATON_PORT_FILE_H
#define BATON_PORT_FILE_H

#include "port.h"

enum file_cache {
    FILE_CACHE_WRITEBACK,    /* page cache; durable after flush (the default) */
    FILE_CACHE_WRITETHROUGH, /* page cache for reads; every write durable at its reply */
    FILE_CACHE_NONE,         /* O_DIRECT; buffers that are not aligned are bounced */
};

struct port_file_opts {
    enum file_cache cache;
    bool readonly;
    bool share; /* read-only only: take no lock that keeps writers out of others' hands */
};

/* Open path without owning it: no lock is taken and, until port_own(), only reads with
 * REQ_F_UNCACHED are allowed (asserted).
 * port_own() takes the lock: OFD read locks on the bytes that QEMU's file-posix driver
 * uses (100.. for what it does, 200.. for what it does not share), tested the way QEMU
 * does, so that QEMU, qemu-img and a second service are refused and refuse us.
 * -ENOENT, -EACCES, ...: from open(2). -EINVAL: neither file nor block device, or
 * cache=none on a size that is no multiple of the logical block. e names the path. */
int port_file_open(const char *path, const struct port_file_opts *opts, struct err *e,
                   struct port **ret_port);

#endif
