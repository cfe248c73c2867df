/* SPDX-License-Identifier: BSD-3-Clause */
/* vm_place.h - where does a domain run, and its disks with it? It is the domain that
 * runs here or there: what one of its disks shows counts for all of them. */
#ifndef BATON_VM_PLACE_H
#define BATON_VM_PLACE_H

#include <stdbool.h>

#include "record.h"

struct disk;
struct service;
struct owner_answer;

/* What a service says of a domain and one of its disks; what is later counts more. */
enum vm_seen {
    VM_NOWHERE,
    VM_ANNOUNCED, /* libvirt has announced it, and nobody has opened the disk since */
    VM_AWAITED,   /* the service was restarted: the domain may reconnect */
    VM_OPEN,      /* the disk was opened since, and is open */
    VM_RUNS,      /* one of its disks there was written since */
};

/* Of one disk: where the most is seen. */
struct vm_place {
    enum vm_seen seen;
    bool is_ambiguous; /* as much is seen at another service */
    char id[37];       /* of the service */
    char service[NAME_MAX_LEN + 1];
    char control[RECORD_URI_LEN];
};

struct vm_news {
    bool is_silent;    /* not every service answered */
    enum vm_seen seen; /* the most of all disks */
    struct vm_place places[GROUP_MAX_DISKS];
};

/* Ask every service that may know about the domain and nr disks; NULL for one that is
 * not asked about. Takes seconds for a service that does not answer. */
void vm_place_look(struct service *s, const char *vm_uuid, struct disk *const *disks,
                   unsigned nr, struct vm_news *ret_news);

/* How much x, an answer about one disk, says of the domain. */
enum vm_seen vm_place_seen(const struct owner_answer *x, const char *vm_uuid);

/* Add what a service, reached at control, says of a disk. */
void vm_place_add(struct vm_place *p, enum vm_seen seen, const struct owner_answer *x,
                  const char *control);

#endif
