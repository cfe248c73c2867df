/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_conns.h"

static struct vm_conns_locked *vm_conns_locked(struct vm_conns *vs)
    LK_REQUIRES(vs->lock);

static struct vm_conns_locked *
vm_conns_locked(struct vm_conns *vs)
{
    return &vs->locked_;
}

void
vm_conns_init(struct vm_conns *vs)
{
    lk_init(&vs->lock);
    LIST_INIT(&vs->locked_.list);
}

void
vm_conns_done(struct vm_conns *vs)
{
    lk_done(&vs->lock);
}

/* FNV-1a. Two VMs of one number are harmless: one is taken for there while the other
 * is. */
static uint64_t
number_of(const char *name)
{
    uint64_t h = 0xcbf29ce484222325;

    for (; *name != '\0'; name++) {
        h = (h ^ (unsigned char)*name) * 0x100000001b3;
    }
    return h != 0 ? h : 1; /* 0 is no VM's */
}

static bool
has(struct vm_conns *vs, uint64_t vm) LK_REQUIRES(vs->lock)
{
    const struct vm_conn *conn;

    LIST_FOREACH(conn, &vm_conns_locked(vs)->list, link)
    {
        if (conn->vm == vm) {
            return true;
        }
    }
    return false;
}

void
vm_conns_enter(struct vm_conns *vs, struct vm_conn *conn, const char *name)
{
    LK_GUARD(&vs->lock);

    conn->vm = number_of(name);
    LIST_INSERT_HEAD(&vm_conns_locked(vs)->list, conn, link);
}

bool
vm_conns_leave(struct vm_conns *vs, struct vm_conn *conn)
{
    LK_GUARD(&vs->lock);

    LIST_REMOVE(conn, link);
    return !has(vs, conn->vm);
}

bool
vm_conns_has(struct vm_conns *vs, uint64_t vm)
{
    LK_GUARD(&vs->lock);

    return has(vs, vm);
}
