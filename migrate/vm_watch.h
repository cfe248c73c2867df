/* SPDX-License-Identifier: BSD-3-Clause */
/* vm_watch.h - a VM of ours is gone: did it migrate, and where to?
 *
 * libvirt does not say (9.0 calls the same hook when a domain was destroyed, crashed,
 * was saved or has migrated). So we ask the services that are clients of our disks and
 * the configured peers. The VM runs at the one where libvirt has announced this domain
 * (its UUID), and every disk of it has a connection since then, and at least one of
 * these has written: QEMU writes nothing before the VM runs there. To that one the
 * disks are handed. Where connections are that have not written yet the question stays
 * open and is asked again; when there are none, nobody runs it, and the disks stay. It
 * stops when the domain is announced here again. */
#ifndef BATON_VM_WATCH_H
#define BATON_VM_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "disk.h"
#include "record_vm.h"

#define VM_NAME_LEN RECORD_VM_NAME_LEN

struct vm_watch {
    struct service *service;
    char vm[VM_NAME_LEN]; /* for people */
    char uuid[37];
    bool is_restart; /* nobody said that it is gone: we were away, and look */
    bool is_told;    /* it was said why it cannot be handed over */
    unsigned nr;
    struct {
        struct disk *disk;
        uint64_t generation; /* of its guests when the VM was gone */
    } disks[GROUP_MAX_DISKS];
};

/* Look on a thread of its own. -EAGAIN: none is to be had. */
int vm_watch_start(const struct vm_watch *w, struct err *e);

/* Look for nr VMs on one thread, after a restart. watches is ours to free. */
void vm_watch_resume(struct vm_watch *watches, unsigned nr);

#endif
