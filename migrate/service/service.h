/* SPDX-License-Identifier: BSD-3-Clause */
/* service.h - the state of one running service: its disks, its records, its control
 * socket. It starts and stops nothing: see daemon/service_start.h. */
#ifndef BATON_SERVICE_H
#define BATON_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "config.h"
#include "peers_seen.h"
#include "port.h"
#include "record.h"
#include "vm_expected.h"

struct disk;
struct handoff_table;
struct port_channel_place;
struct rpc_server;
struct superseded_looks;
struct target;
struct vm_watches;

struct service {
    const struct service_config *cfg;
    struct record_dir *records;
    _Atomic uint64_t next_number; /* relaxed: only uniqueness and growth count */
    char opaque_filter[64];       /* "" when none; see nbdkit_filters.h */
    struct handoff_table *handoffs;
    /* As port_channel_opts.moved, of every channel; opaque is the disk. It is handed
     * in, since it asks other services (owner_follow.h). */
    bool (*moved)(void *opaque, uint64_t epoch, const char *right,
                  struct port_channel_place *ret_place);
    struct rpc_server *control; /* the unix socket */
    struct rpc_server *net_control[CONFIG_MAX_LISTEN];
    struct superseded_looks *looks; /* while the disks are started; else NULL */
    struct peers_seen peers_seen;   /* who is a client of ours */
    uint64_t began_ns;
    int mend_fd;                    /* eventfd; -1 */
    struct vm_expected vm_expected; /* VMs that migrate to us */
    struct vm_watches *vm_watches; /* VMs that are gone from here, and are looked for */
    unsigned nr_disks;
    struct disk *disks;
};

/* By name, NULL when there is none. */
struct disk *service_find_disk(struct service *s, const char *name);
struct disk *service_find_uuid(struct service *s, const char *uuid);

/* The disks that t is about, in ret_disks, which has room for GROUP_MAX_DISKS. -ENOENT:
 * there is none; -E2BIG: there are more than that. e names the target. */
int service_find_target(struct service *s, const struct target *t, struct err *e,
                        struct disk **ret_disks, unsigned *ret_nr);

/* Has the domain of this UUID written to any of its disks here, since it was announced?
 */
bool service_runs_vm(struct service *s, const char *vm_uuid);

#endif
