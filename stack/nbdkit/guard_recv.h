/* SPDX-License-Identifier: BSD-3-Clause */
/* guard_recv.h - private to the guard (entry_guard.c): what was received
 * ahead (incoming_*). See entry_guard_recv.c. */
#ifndef BATON_GUARD_RECV_H
#define BATON_GUARD_RECV_H

/* fd is about to be closed: what was received ahead is nobody's. */
__attribute__((visibility("hidden"))) void incoming_closed(int fd);

#endif
