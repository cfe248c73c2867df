/* SPDX-License-Identifier: BSD-3-Clause */
/* guard_send.h - private to the guard (entry_guard.c): sends (send_*) on unix sockets,
 * some of them held back for a while (cork_*). See entry_guard_send.c. */
#ifndef BATON_GUARD_SEND_H
#define BATON_GUARD_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Room for several replies in the socket of an accepted connection. A matter of speed
 * only. */
__attribute__((visibility("hidden"))) void send_widen(int fd);

/* head and then buf, all of it, to a client of an accepted connection. False: it is
 * gone. */
__attribute__((visibility("hidden"))) bool send_both(int fd, const void *head,
                                                     size_t head_len, const void *buf,
                                                     size_t len, int flags);

/* For connections that were made here: as send(2), but that what has MSG_MORE may wait
 * for what follows it. One thread at a time for each descriptor. */
__attribute__((visibility("hidden"))) ssize_t cork_send(int fd, const void *buf,
                                                        size_t len, int flags);

/* fd is about to be closed: what waits goes nowhere. */
__attribute__((visibility("hidden"))) void cork_closed(int fd);

#endif
