/* SPDX-License-Identifier: BSD-3-Clause */
/* hook_domain.h - what the hook has to know of a domain's XML. hook_domain.c is the
 * only user of libxml2. */
#ifndef BATON_HOOK_DOMAIN_H
#define BATON_HOOK_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define HOOK_MAX_DISKS 4096 /* each part of a backing chain counts */
#define HOOK_MAX_XML (8U * 1024 * 1024)

/* What the domain does with an NBD export. */
enum hook_use {
    HOOK_WRITES,
    HOOK_READS,  /* <readonly/>, a cdrom, or a backing store */
    HOOK_SHARES, /* <shareable/>: it writes, and others may */
};

struct hook_domain {
    const char *name; /* set by the caller, from libvirt's argument */
    char uuid[37];
    unsigned nr;
    struct hook_disk {
        char *name;   /* of the NBD export; "" when none is given */
        char *socket; /* path */
        enum hook_use use;
        bool is_backing;
    } * disks;
    unsigned nr_net; /* NBD exports that are not on unix sockets */
    char *net;       /* the name of one of them, or NULL */
    char *arguments; /* <qemu:arg>s, which libvirt hands to QEMU unread, or NULL */
};

/* Find the NBD exports on unix sockets that the disks of xml are made of: the disks
 * themselves, their backing stores, mirrors and so on. -EINVAL: xml is no domain's XML;
 * -E2BIG: too many disks; -ENOMEM. Free with hook_domain_done(). */
int hook_domain_parse(const char *xml, size_t len, struct err *e,
                      struct hook_domain *ret_dom);
void hook_domain_done(struct hook_domain *dom);

/* The path that the socket `from` has on this host; NULL: the same. */
struct hook_map {
    const char *(*to)(const void *opaque, const char *from);
    const void *opaque;
};

/* *ret_xml is the XML with the paths of this host, *ret_len bytes, to be freed, or NULL
 * when no path differs. -EINVAL as above, -ENOMEM. */
int hook_domain_rewrite(const char *xml, size_t len, const struct hook_map *map,
                        struct err *e, char **ret_xml, size_t *ret_len);

#endif
