/* SPDX-License-Identifier: BSD-3-Clause */
/* lease_grant.h - the owner's word: may a VM have a disk (lease.h)? Any thread; asks
 * the service of the VM that has it, and takes until its deadline. */
#ifndef BATON_LEASE_GRANT_H
#define BATON_LEASE_GRANT_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "lease.h"

/* The owner's word: may l have d? -EAGAIN: d is not owned here. */
int lease_grant(struct disk *d, const struct lease *l, enum lease_how how,
                uint64_t deadline_ns, struct err *e, bool *ret_is_new);

/* Has l still what it was let have? *ret_is_silent: it cannot be told. */
bool lease_grant_is_used(struct disk *d, const struct lease *l, uint64_t deadline_ns,
                         bool *ret_is_silent);

#endif
