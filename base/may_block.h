/* SPDX-License-Identifier: BSD-3-Clause */
/* may_block.h - said before a request waits for anything slower than memory. The guard
 * of nbdkit (stack/nbdkit/entry_guard_turn.c) lets the worker that performs a request
 * go on reading; a request that may block gives that up to another worker first. Costs
 * a test where there is no guard. cv_wait_until() says it, and port_submit() for a port
 * that does not say it itself before it waits for anything else. */
#ifndef BATON_MAY_BLOCK_H
#define BATON_MAY_BLOCK_H

#include <stddef.h>

/* The guard's, where it is preloaded. */
extern void baton_guard_may_block(void) __attribute__((weak));

extern int baton_guard_kept_fd(void) __attribute__((weak));
extern void baton_guard_ends_here(size_t len) __attribute__((weak));

static inline void
may_block(void)
{
    if (baton_guard_may_block != NULL) {
        baton_guard_may_block();
    }
}

/* A thread that waits in poll(2) need not say may_block() if it polls this descriptor
 * for input as well, unless it is -1, and says so when there is some. The client's;
 * nothing but poll may be done with it. */
static inline int
may_block_fd(void)
{
    return baton_guard_kept_fd != NULL ? baton_guard_kept_fd() : -1;
}

/* A read or write of len bytes that a VM waits for is about to be performed here, on
 * memory in all likelihood: the worker may go on reading only if the VM has more of
 * them under way. (What another service sends is better read by who performs it,
 * always.) */
static inline void
may_block_for_vm(size_t len)
{
    if (baton_guard_ends_here != NULL) {
        baton_guard_ends_here(len);
    }
}

#endif
