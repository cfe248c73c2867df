/* SPDX-License-Identifier: BSD-3-Clause */
/* vm_watch.h - VMs of ours that are gone: did they migrate, and where to?
 *
 * libvirt does not say (9.0 calls the same hook when a domain was destroyed, crashed,
 * was saved or has migrated). So we ask the services that are clients of our disks and
 * the configured peers. A domain that was announced elsewhere (by its UUID) runs there
 *  - if it has written to any of its disks there since: QEMU writes nothing before the
 *    VM runs; or
 *  - if libvirt has said that it ended here, nobody writes here, and it has had a disk
 *    open there for a while all the same: a QEMU that waits for a migration whose
 *    source has ended is ended, too, at once.
 * If we are wrong, a disk is owned where its VM does not run, and nothing is lost by
 * it. Then all its disks go there, written or not: each to the service that serves it
 * to the domain. A service that has one announced or open without more is asked again,
 * ever more seldom, for a day; when nobody has, nobody runs the VM, and its disks stay.
 * It is over for a disk that is announced here again.
 *
 * Any number of VMs may go at once: they wait in a queue (vm_watches_*) for a few
 * threads. */
#ifndef BATON_VM_WATCH_H
#define BATON_VM_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "disk.h"
#include "lock.h"
#include "record_vm.h"

#define VM_NAME_LEN RECORD_VM_NAME_LEN

struct vm_watch {
    struct service *service;
    char vm[VM_NAME_LEN]; /* for people */
    char uuid[37];
    bool is_restart; /* nobody said that it is gone: we were away, and look */
    bool is_told;    /* that it lasts */
    unsigned nr;
    struct vm_watched {
        struct disk *disk;
        uint64_t generation; /* of its guests when the VM was gone */
        bool is_reader; /* it only read it: others may, too, and it stays for them */
        bool is_told;   /* it was said why it cannot be handed over */
    } disks[GROUP_MAX_DISKS];
    uint64_t began_ns;
    uint64_t open_since_ns; /* it has had a disk open elsewhere since; 0: it has none */
    uint64_t due_ns, wait_ns;
    TAILQ_ENTRY(vm_watch) link;
};

/* The watches of a service that wait for their turn. -ENOMEM. */
struct vm_watches;
int vm_watches_new(struct vm_watches **ret_q);
void vm_watches_free(struct vm_watches *q); /* no thread is at it; NULL is accepted */

/* Look for the VM from now on. w is copied. -ENOMEM, -EAGAIN: there is no thread and
 * none is to be had. */
int vm_watch_start(const struct vm_watch *w, struct err *e);

/* After a restart: look for the VMs of the disks that we own, as if each had been said
 * to be gone. Those that run nowhere else are here; nothing is done about them. On a
 * thread of its own; once control calls are answered. */
void vm_watch_all(struct service *s);

#endif
