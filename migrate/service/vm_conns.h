/* SPDX-License-Identifier: BSD-3-Clause */
/* vm_conns.h - the connections of VMs to a disk here, and which of them are one VM's: a
 * VM is all the connections of one process (of one address by TCP, of one machine by
 * vsock), as in writers.h. It is gone when its last connection is; until then a flush
 * over one of them covers what came over another.
 *
 * Any thread. */
#ifndef BATON_VM_CONNS_H
#define BATON_VM_CONNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lock.h"

struct vm_conn {
    uint64_t vm; /* as in struct req */
    LIST_ENTRY(vm_conn) link;
};

LIST_HEAD(vm_conn_list, vm_conn);

struct vm_conns {
    struct lk lock; /* leaf */
    struct vm_conns_locked {
        struct vm_conn_list list;
    } locked_;
};

void vm_conns_init(struct vm_conns *vs);
void vm_conns_done(struct vm_conns *vs);

/* From now on conn is a connection of the VM of this name, the same VM as one of the
 * same name that has been here before. */
void vm_conns_enter(struct vm_conns *vs, struct vm_conn *conn, const char *name);

/* conn is closed. Was it its VM's last? */
bool vm_conns_leave(struct vm_conns *vs, struct vm_conn *conn);

/* Has this VM a connection? */
bool vm_conns_has(struct vm_conns *vs, uint64_t vm);

#endif
