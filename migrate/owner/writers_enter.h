/* SPDX-License-Identifier: BSD-3-Clause */
/* writers_enter.h - a client that begins to write asks the owner first (writers.h). */
#ifndef BATON_WRITERS_ENTER_H
#define BATON_WRITERS_ENTER_H

struct disk;

/* The first write of a connection. 0: it may, until writers_leave(&d->writers); -EPERM:
 * another client has written and is connected still; -ETIMEDOUT: the owner could not be
 * asked for as long as the disk's fail-after. */
int writers_enter(struct disk *d, const char *name);

#endif
