/* SPDX-License-Identifier: BSD-3-Clause */
/* port_file.h - a regular file or a block device. */
#ifndef BATON_PORT_FILE_H
#define BATON_PORT_FILE_H

#include "port.h"

enum file_cache {
    FILE_CACHE_WRITEBACK,    /* page cache; durable after flush (the default) */
    FILE_CACHE_WRITETHROUGH, /* page cache for reads; writes durable at their reply */
    FILE_CACHE_NONE,         /* O_DIRECT; buffers that are not aligned are bounced */
};

struct port_file_opts {
    enum file_cache cache;
    bool readonly;
    bool share; /* read-only only: take no lock that keeps others from writing */
};

/* Open path without owning it: no lock is taken and, until port_own(), only reads with
 * REQ_F_UNCACHED are allowed (asserted).
 * port_own() takes the lock: OFD read locks on the bytes that QEMU's file-posix driver
 * uses (100.. for what it does, 200.. for what it does not share), tested the way QEMU
 * does, so that QEMU, qemu-img and a second service are refused and refuse us.
 * It refuses (-EINVAL) a device that has shrunk since it was opened.
 * -ENOENT, -EACCES, ...: from open(2). -EINVAL: neither file nor block device, or
 * cache=none on a size that is no multiple of the logical block, or where there is no
 * O_DIRECT. -EROFS: a read-only block device without readonly. e names the path. */
int port_file_open(const char *path, const struct port_file_opts *opts, struct err *e,
                   struct port **ret_port);

/* p was made by port_file_open(). Would port_own() get the lock now? 0, -EBUSY and who
 * has it, other -errno. Takes nothing: nobody is refused because of the question. */
int port_file_probe(struct port *p, struct err *e);

/* p was made by port_file_open(). What its device is called for good: see
 * file_ident.h. The length; 0: nothing that lasts is known. */
int port_file_lasting(struct port *p, char *id, int id_size);

/* p was made by port_file_open(). Was the last owner on this host, so that the page
 * cache of this host holds what it wrote? true (the default): the next port_own() keeps
 * it, and costs microseconds. false: it drops what is cached of the device. */
void port_file_trust_cache(struct port *p, bool trust);

#endif
