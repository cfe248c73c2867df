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

#include "err.h"
#include "lock.h"

struct disk;

#define WRITER_NAME_LEN 64 /* "process 123", "10.0.0.1" */

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

/* The first write of a connection. 0: it may, until writers_leave(); -EPERM: another
 * client has written and is connected still; -ETIMEDOUT: the owner could not be asked
 * for as long as the disk's fail-after. */
int writers_enter(struct disk *d, const char *name);
void writers_leave(struct disk *d);

/* Does a client write that libvirt has not announced? */
bool writers_are_there(struct writers *ws);

#endif
