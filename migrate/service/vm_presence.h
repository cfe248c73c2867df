/* SPDX-License-Identifier: BSD-3-Clause */
/* vm_presence.h - which VM of libvirt was announced here, and do its connections
 * (guest_*) write?
 * That a connection is open says little: QEMU opens the disks of a VM that arrives
 * before it runs there, and closes them again when it never does. But it writes nothing
 * before.
 *
 * Any thread. */
#ifndef BATON_VM_PRESENCE_H
#define BATON_VM_PRESENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lock.h"
#include "port.h"
#include "record_vm.h"

struct vm_presence {
    struct lk lock; /* leaf */
    struct vm_presence_locked {
        char vm_uuid[37];    /* of the domain that was announced last; "" when none */
        uint64_t generation; /* counts announcements */
        unsigned nr;         /* connections since the last one that are open */
        unsigned nr_writers; /* of these, have changed the disk */
        bool has_run;        /* was one of them ever a writer? */
        bool is_gone;        /* libvirt has said that it has ended here */
        bool is_reader, is_shared; /* it only reads; it lets others write, too */
        bool has_opened;           /* was there a connection since? */
        uint64_t announced_ns;
        uint64_t awaited_ns; /* until then a VM from before our restart may come back;
                              * 0: nobody is awaited, or it came */
    } locked_;
};

/* One connection of a VM, from enter to leave. */
struct guest {
    struct vm_presence *of;
    uint64_t generation;
    _Atomic bool has_written; /* relaxed: only spares later writes the lock */
};

void vm_presence_init(struct vm_presence *g);
void vm_presence_done(struct vm_presence *g);

/* The domain of this UUID is about to be started here: connections that are open
 * already are not its. */
void vm_presence_announce(struct vm_presence *g, const char *vm_uuid);

/* The same, unless another one that writes is here: false then, and nothing is changed.
 * Nor is anything, but the answer is true, for a reader, or one that shares, where
 * another one is: there is only one that we know by name. *ret_is_announced. */
bool vm_presence_try_announce(struct vm_presence *g, const char *vm_uuid,
                              bool is_reader, bool is_shared, bool *ret_is_announced);

/* Is the VM that was announced here, or about to be: has it the disk open, or is it to
 * open it any moment? */
bool vm_presence_hold(struct vm_presence *g);

/* The same after a restart of ours: the domain may run here already, and its QEMU be
 * about to reconnect; or it had ended here when we went (is_gone). */
void vm_presence_restore(struct vm_presence *g, const struct record_vm *vm);

/* The domain of this UUID has ended here. False, and nothing is changed: another one
 * was announced since. */
bool vm_presence_end(struct vm_presence *g, const char *vm_uuid);

void guest_enter(struct vm_presence *g, struct guest *guest);
void guest_leave(struct guest *guest);
void guest_first_write(struct guest *guest);

/* For each request; costs a load. */
static inline void
guest_submits(struct guest *guest, enum req_op op)
{
    if ((op == REQ_WRITE || op == REQ_ZERO || op == REQ_TRIM) &&
        !atomic_load_explicit(&guest->has_written, memory_order_relaxed)) {
        guest_first_write(guest);
    }
}

/* Is that the announcement that has this generation still? Then nobody is announced
 * any more. */
bool vm_presence_forget(struct vm_presence *g, uint64_t generation);

/* The VM of that announcement runs elsewhere, and may come (back): it has not run here
 * until one of its connections writes again. */
void vm_presence_moved(struct vm_presence *g, uint64_t generation);

/* How many connections of the announced VM there are; one that may come back after a
 * restart of ours counts. */
unsigned vm_presence_present(struct vm_presence *g);

/* A copy. */
struct vm_presence_locked vm_presence_look(struct vm_presence *g);

#endif
