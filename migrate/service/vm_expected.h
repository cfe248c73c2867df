/* SPDX-License-Identifier: BSD-3-Clause */
/* vm_expected.h - domains that migrate to this host, as libvirt's hook "migrate" has
 * said: when they come (vm.coming) they may be running on another host still. Any
 * thread. Not durable: between the two there are milliseconds. */
#ifndef BATON_VM_EXPECTED_H
#define BATON_VM_EXPECTED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lock.h"

struct vm_expected {
    struct lk lock; /* leaf */
    struct vm_expected_locked {
        TAILQ_HEAD(, vm_expected_one) all;
    } locked_;
};

void vm_expected_init(struct vm_expected *x);

/* -ENOMEM. */
int vm_expected_add(struct vm_expected *x, const char *vm_uuid);

/* Was it said, not long ago? */
bool vm_expected_is(struct vm_expected *x, const char *vm_uuid);

/* It has ended here, or never came. */
void vm_expected_remove(struct vm_expected *x, const char *vm_uuid);

#endif
