/* SPDX-License-Identifier: BSD-3-Clause */
/* service.h - one running service: its disks, its records, its control socket. The
 * plugin makes one and asks it for clients; everything else of migrate/ hangs below. */
#ifndef BATON_SERVICE_H
#define BATON_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "config.h"
#include "peers_seen.h"
#include "port.h"
#include "record.h"
#include "vm_expected.h"
#include "vm_watch.h"

struct disk;
struct handoff_table;
struct rpc_server;
struct superseded_looks;
struct target;
struct tls_peer;

struct service {
    const struct service_config *cfg;
    struct record_dir *records;
    _Atomic uint64_t next_number; /* relaxed: only uniqueness and growth count */
    char opaque_filter[64];       /* "" when none; see nbdkit_filters.h */
    struct handoff_table *handoffs;
    struct rpc_server *control; /* the unix socket */
    struct rpc_server *net_control[CONFIG_MAX_LISTEN];
    struct superseded_looks *looks; /* while the disks are started; else NULL */
    struct known known;             /* who is a client of ours */
    uint64_t began_ns;
    int mend_fd;                    /* eventfd; -1 */
    struct vm_expected vm_expected; /* VMs that migrate to us */
    struct vm_watches vm_watches; /* VMs that are gone from here, and are looked for */
    unsigned nr_disks;
    struct disk *disks;
};

/* Take the state directory, start every disk as its record says, open the control
 * socket (control_fd, owned on success; -1: none). cfg outlives the service, and its
 * TLS is the process's from now on. Threads start here. e says which disk or file is at
 * fault. */
int service_new(const struct service_config *cfg, int control_fd, struct err *e,
                struct service **ret_service);

/* Open cfg->net_control[i] too, on listen_fd (owned on success). */
int service_control_net(struct service *s, unsigned i, int listen_fd, struct err *e);

/* Stop serving by deadline_ns and let the device locks go; the process is to be ended
 * right after, without answering what is held (see disk_stop). */
void service_stop(struct service *s, uint64_t deadline_ns);

/* By name, NULL when there is none. */
struct disk *service_find_disk(struct service *s, const char *name);
struct disk *service_find_uuid(struct service *s, const char *uuid);

/* The disks that t is about, in ret_disks, which has room for GROUP_MAX_DISKS. -ENOENT:
 * there is none; -E2BIG: there are more than that. e names the target. */
int service_find_target(struct service *s, const struct target *t, struct err *e,
                        struct disk **ret_disks, unsigned *ret_nr);

/* Where a connection comes from. */
struct client_origin {
    bool is_unix;
    bool is_tcp; /* neither: vsock */
    bool is_tls;
    const struct tls_peer *peer; /* NULL: not known */
    char name[64]; /* of the process, address or machine; "" when unknown */
};

/* One connection to a disk: a VM's, through the stack, or another service's channel. */
struct client;

/* export_name is a disk's name, or a channel's (port_channel.h), or "" when there is
 * exactly one disk. May block while a stack reads its first blocks.
 * -EACCES: not for who comes from there; -ENOENT: no such disk; -EAGAIN: a standby that
 * has not learned the disk yet; -ESTALE: a channel that is fenced or of another epoch;
 * -EINVAL: malformed name. */
int client_open(struct service *s, const char *export_name,
                const struct client_origin *from, struct err *e,
                struct client **ret_client);
/* Could who comes from there open the i-th disk of the configuration now? What would
 * only show when its layers are opened is not looked at. */
bool client_may_open(struct service *s, unsigned i, const struct client_origin *from);
void client_close(struct client *c);
const struct port_info *client_info(const struct client *c);
const char *client_description(const struct client *c); /* NULL when none */
bool client_is_readonly(const struct client *c);
/* rq has passed port_check(client_info). -ESTALE: not performed; the caller must not
 * answer with anything else than "shutting down". */
int client_submit(struct client *c, struct req *rq); /* sets whose it is */

#endif
