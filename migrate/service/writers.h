/* SPDX-License-Identifier: BSD-3-Clause */
/* writers.h - writers=one: of the NBD clients of a service only one may write at a
 * time, also when no hook tells of VMs. A client is all the connections of one process
 * (of one address by TCP, of one machine by vsock). It counts from its first write
 * until the last connection that has written is closed, and not from connecting: during
 * a migration two QEMUs have the disk open, and the one that only waits writes nothing.
 * Readers are free.
 *
 * Another client that writes meanwhile waits for it to end, since a migration's source
 * is there for a second or two after its destination runs; then it gets EPERM. The same
 * between services, by the owner's lease (lease.h).
 *
 * Any thread. */
#ifndef BATON_WRITERS_H
#define BATON_WRITERS_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "lock.h"

#define WRITERS_WAIT_NS (10 * NS_PER_S) /* for the source of a migration to end */
#define WRITER_NAME_LEN 64              /* "process 123", "10.0.0.1" */

struct writers {
    struct lk lock;    /* leaf */
    struct cv changed; /* the client that writes has ended, or may write */
    struct writers_locked {
        char name[WRITER_NAME_LEN]; /* of the client that writes; "" when none does */
        unsigned nr;                /* its connections that have written */
        bool is_asking;             /* one of them asks the owner for the lease */
        unsigned nr_refused;        /* how often the owner has said no */
    } locked_;
};

void writers_init(struct writers *ws);
void writers_done(struct writers *ws);

/* Become the client that writes, or one more connection of it. *ret_asks: the caller
 * has to ask the owner, and to call writers_settle(). What is being asked is waited for
 * until failed_ns, like the owner by any request; a client that does write is given
 * WRITERS_WAIT_NS to end. -EPERM, -ETIMEDOUT. */
int writers_join(struct writers *ws, const char *name, uint64_t failed_ns,
                 bool *ret_asks);
/* What the owner has said: 0, it may; -EPERM, it may not; other: it was not asked. */
void writers_settle(struct writers *ws, int rc);

/* One connection that has written is closed. */
void writers_leave(struct writers *ws);

/* Does a client write that libvirt has not announced? */
bool writers_are_there(struct writers *ws);

#endif
