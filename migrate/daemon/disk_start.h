/* SPDX-License-Identifier: BSD-3-Clause */
/* disk_start.h - private to migrate/daemon: what the service does with a disk at its
 * own start. */
#ifndef BATON_DISK_START_H
#define BATON_DISK_START_H

#include "disk.h"

/* At start: do what the record says. owner: open the device, take its lock, serve; a
 * disk without a record becomes what its configuration says. given: be a client of the
 * new owner. parked, standby: nothing. */
int disk_start(struct disk *d, struct err *e);

#endif
