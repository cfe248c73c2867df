/* SPDX-License-Identifier: BSD-3-Clause */
/* vm_domain.h - private to vm_methods.c: a domain as the hook tells of it. */
#ifndef BATON_VM_DOMAIN_H
#define BATON_VM_DOMAIN_H

#include <jansson.h>

#include "record.h"
#include "vm_watch.h"

struct disk;
struct service;

/* What a domain does with a disk. */
enum vm_use { VM_WRITES, VM_READS, VM_SHARES };

/* A domain, and the disks of it that are served here. */
struct domain {
    char vm[VM_NAME_LEN];
    const char *uuid;
    unsigned nr;
    struct disk *disks[GROUP_MAX_DISKS];
    enum vm_use uses[GROUP_MAX_DISKS];
    const char *sockets[GROUP_MAX_DISKS]; /* as the domain names them */
};

/* {vm, uuid, disks[{name, socket, use}]}; what is borrowed is params'. -EBADMSG;
 * -ENOENT: a disk at our socket that we have not; -E2BIG. */
int vm_domain_parse(struct service *s, json_t *params, struct err *e,
                    struct domain *ret_dom);

#endif
