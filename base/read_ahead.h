/* SPDX-License-Identifier: BSD-3-Clause */
/* read_ahead.h - fewer system calls for a thread that receives small pieces with
 * recv(2). The guard of nbdkit (stack/nbdkit/entry_guard_recv.c) receives for it what
 * else has arrived. Costs a test where there is no guard. */
#ifndef BATON_READ_AHEAD_H
#define BATON_READ_AHEAD_H

#include <stdbool.h>
#include <stddef.h>

/* The guard's, where it is preloaded. */
extern void baton_guard_read_ahead(int fd) __attribute__((weak));

extern bool baton_guard_has_ahead(int fd) __attribute__((weak));

/* From now on, until fd is closed, what is received with recv(2) may be read ahead. One
 * thread at a time for fd; and before it polls fd for input it asks has_read_ahead().
 */
static inline void
read_ahead(int fd)
{
    if (baton_guard_read_ahead != NULL) {
        baton_guard_read_ahead(fd);
    }
}

/* Is there something for recv(2) that poll(2) does not show? */
static inline bool
has_read_ahead(int fd)
{
    return baton_guard_has_ahead != NULL && baton_guard_has_ahead(fd);
}

#endif
