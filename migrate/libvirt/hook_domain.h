/* SPDX-License-Identifier: BSD-3-Clause */
/* hook_domain.h - what the hook has to know of a domain's XML. The only user of
 * libxml2.
 */
#ifndef BATON_HOOK_DOMAIN_H
#define BATON_HOOK_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define HOOK_MAX_DISKS 4096 /* with the parts of their chains */
#define HOOK_MAX_XML (8U * 1024 * 1024)

/* What the domain does with an NBD export. */
enum hook_use {
    HOOK_WRITES,
    HOOK_READS,  /* <readonly/>, a cdrom, or a backing store */
    HOOK_SHARES, /* <shareable/>: it writes, and others may */
};

struct hook_domain {
    const char *name; /* libvirt's argument; the caller's */
    char uuid[37];
    unsigned nr;
    struct hook_disk {
        char *name;   /* of the NBD export; "" when none is given */
        char *socket; /* path */
        enum hook_use use;
        bool is_backing;
    } * disks;
    unsigned nr_net; /* NBD exports that are reached otherwise */
    char *net;       /* the name of one of them, or NULL */
    char *arguments; /* what is handed to QEMU past libvirt, or NULL */
};

/* The NBD exports on unix sockets of xml: of disks, their backing stores, mirrors and
 * whatever else a disk is made of; others are left out. -EINVAL: no domain's XML;
 * -E2BIG. Free with hook_domain_done(). */
int hook_domain_parse(const char *xml, size_t len, struct err *e,
                      struct hook_domain *ret_dom);
void hook_domain_done(struct hook_domain *dom);

/* What the socket path `from` is on this host; NULL: it stays. */
struct hook_map {
    const char *(*to)(const void *opaque, const char *from);
    const void *opaque;
};

/* *ret_xml is a new text of *ret_len bytes with the paths of this host, or NULL when
 * none differs. -EINVAL as above, -ENOMEM. */
int hook_domain_rewrite(const char *xml, size_t len, const struct hook_map *map,
                        struct err *e, char **ret_xml, size_t *ret_len);

#endif
