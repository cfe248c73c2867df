/* SPDX-License-Identifier: BSD-3-Clause */
/* mend.h - private to migrate/daemon: disks that cannot be served, while others are.
 *
 * A device that is missing, too small, another one, or locked, and a record that cannot
 * be read or written, are the trouble of one disk. Its role stays what its record says;
 * it is not listed, a client that opens it is refused with the reason, its ownership is
 * not changed (disk_claim), and status names the reason. It is tried again, with
 * back-off and as soon as something appears where its device should be. */
#ifndef BATON_MEND_H
#define BATON_MEND_H

#include <stdbool.h>

#include "err.h"

struct disk;
struct service;

/* Start d, or note why it cannot be served. */
void mend_first_try(struct disk *d);

/* No disk can be served, and none has a record: nothing is taken down by ending, and a
 * mistake in a first command is seen at once. -errno and the first one's reason, or 0.
 */
int mend_check(struct service *s, struct err *e);

/* Try again what is in trouble, on a thread of its own, until nothing is. */
int mend_start(struct service *s, struct err *e);

#endif
