/* SPDX-License-Identifier: BSD-3-Clause */
/* disk_stop.h - private to migrate/daemon: what the service does with a disk at its own
 * end. */
#ifndef BATON_DISK_STOP_H
#define BATON_DISK_STOP_H

#include <stdint.h>

struct disk;

/* Stop serving for good, in order: hold, drain until deadline_ns, flush, let the lock
 * go. Requests that are held stay so until the process ends: clients repeat them. Of a
 * disk that another service owns only what a channel has kept is flushed. */
void disk_stop(struct disk *d, uint64_t deadline_ns);

#endif
