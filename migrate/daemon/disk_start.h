/* SPDX-License-Identifier: BSD-3-Clause */
/* disk_start.h - private to migrate/: what the service does with a disk at its own
 * start and end. */
#ifndef BATON_DISK_START_H
#define BATON_DISK_START_H

#include "disk.h"

/* At start: do what the record says. owner: open the device, take its lock, serve; a
 * disk without a record becomes what its configuration says. given: be a client of the
 * new owner. parked, standby: nothing. */
int disk_start(struct disk *d, struct err *e);

/* Stop serving for good, in order: hold, drain until deadline_ns, flush, let the lock
 * go. Requests that are held stay so until the process ends: clients repeat them. */
void disk_stop(struct disk *d, uint64_t deadline_ns);

#endif
