/* SPDX-License-Identifier: BSD-3-Clause */
/* disk.h - one disk of a service, and what the service owns of it. The steps that
 * change that are in disk_ownership.h.
 *
 * A caller that changes a disk's ownership claims it first (disk_claim); the claim is
 * not a lock: nobody waits for it (but for the moment in which what was learned of the
 * owner is written down), a second one is refused. Only the claimant calls the steps.
 */
#ifndef BATON_DISK_H
#define BATON_DISK_H

#include <stdatomic.h>

#include "config.h"
#include "disk_claim.h"
#include "flusher.h"
#include "lease.h"
#include "lock.h"
#include "port_channel.h"
#include "record.h"
#include "redirector.h"
#include "session.h"
#include "stack.h"
#include "vm_conns.h"
#include "vm_presence.h"
#include "writers.h"

struct service;

#define SEARCH_TEXT 512

/* What a handoff to us has made ready: opened, not owned. Guarded by the disk's lock.
 */
struct incoming {
    struct port *port; /* NULL: nothing is prepared */
    /* Of the records that ASSIGN commits; in a group the first disk has it. */
    struct record_draft *draft;
    uint64_t epoch;
    char right[CHANNEL_RIGHT_SIZE]; /* that channels of epoch prove already */
    char uuid[37];
    char from_name[NAME_MAX_LEN + 1];
    char from_control[RECORD_URI_LEN];
};

struct disk {
    struct service *service;
    const struct disk_config *cfg;

    /* Made once, when the disk's info is first known, and then there for good. Read
     * with acquire, published with release. */
    _Atomic(struct redir *) redir;
    struct session_table *sessions; /* with redir */
    struct flusher flusher;
    struct vm_presence presence;         /* VMs that are connected */
    struct leases leases;                /* at the owner: VMs that may write */
    struct writers writers;              /* writers=one: the client that writes */
    struct vm_conns conns;               /* which connections are one VM's */
    struct channel_unflushed_count kept; /* by port B; for status */
    _Atomic unsigned nr_vms;      /* connections of VMs; relaxed: a plain count */
    _Atomic unsigned nr_told;     /* clients that asked where it is now; the same */
    _Atomic uint64_t device_size; /* of port A; relaxed: for status */

    struct lk build_lock; /* one thread builds the stack; held over its first reads */
    /* Made under build_lock, then constant; release, and acquire without the lock:
     * to build it may last as long as the disk is held. */
    _Atomic(struct stack *) stack;

    struct lk lock;    /* leaf: guards what follows; nothing is called with it held */
    struct cv changed; /* the search for the owner has ended, or let the record go */
    struct disk_locked {
        const char *claimed_for; /* NULL or what is going on, for messages; static */
        bool is_shared;          /* the claimant lets the record be written meanwhile */
        bool is_following;       /* the record is being written by a search, say */
        bool is_searching;   /* a thread is asking who the owner is (owner_follow.h) */
        bool is_search_told; /* what it found out was logged */
        uint64_t search_since_ns; /* when it began not to find one; 0: it has */
        uint64_t search_end_ns;   /* when the latest one ended */
        char search[SEARCH_TEXT]; /* why it did not; "" when there is nothing to say */
        char trouble[sizeof(struct err)]; /* why it is not served; see disk_failed.h */
        char device_lost[SEARCH_TEXT]; /* an NBD device whose server is gone, or "" */
        struct record rec;
        bool is_rec_ahead; /* of the durable one: the one that gave it asks again */
        struct incoming incoming;
    } locked_;
};

static inline struct disk_locked *disk_locked(struct disk *d) LK_REQUIRES(d->lock);
static inline struct disk_locked *
disk_locked(struct disk *d)
{
    return &d->locked_;
}

/* NULL until the disk's info is known. */
static inline struct redir *
disk_redir(struct disk *d)
{
    return atomic_load_explicit(&d->redir, memory_order_acquire);
}

int disk_init(struct disk *d, struct service *s, const struct disk_config *cfg);
void disk_done(struct disk *d); /* waits for a search of the owner to end */

/* Does uuid name this disk, also while it is only being prepared? */
bool disk_has_uuid(struct disk *d, const char *uuid);

struct record disk_record(struct disk *d); /* a copy, for anybody */

/* Open the configured device without owning it. */
int disk_open_device(struct disk *d, struct err *e, struct port **ret_port);

/* Can port be port A of this disk? -EINVAL and a sentence when it breaks what clients
 * were promised. There is a redirector. */
int disk_can_take(struct disk *d, const struct port *port, struct err *e);

/* A disk of that size comes here: is it what this disk's clients were promised? -EINVAL
 * and a sentence. There is a redirector. */
int disk_has_size(struct disk *d, uint64_t size, struct err *e);

/* Own port (it stays the caller's) if it can take; trusts_cache is port_file.h's. */
int disk_own(struct disk *d, struct port *port, bool trusts_cache, struct err *e);

/* Make the redirector if there is none yet. */
int disk_need_redir(struct disk *d, const struct port_info *info, struct err *e);

/* The record that a step would commit, a copy with another role, epoch, peer; and make
 * rec, which was committed, the disk's. */
struct record disk_next_record(struct disk *d, enum role role, uint64_t epoch);
void disk_set_record(struct disk *d, const struct record *rec);

/* A channel to whom rec was given; connects nothing. -ENOMEM. */
int disk_new_channel(struct disk *d, const struct record *rec, struct err *e,
                     struct port **ret_port);

#endif
