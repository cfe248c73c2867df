/* SPDX-License-Identifier: BSD-3-Clause */
/* device_wait.h - wait for a device that is being plugged in. Thread-safe. */
#ifndef BATON_DEVICE_WAIT_H
#define BATON_DEVICE_WAIT_H

#include <stdint.h>

/* 0 as soon as there is something at the absolute path; a symbolic link with nothing at
 * its end does not count, nor the name of a device that is not there yet (ENXIO).
 * -ENOENT at deadline_ns. */
int device_wait(const char *path, uint64_t deadline_ns);

/* Have the inotify descriptor fd tell when something appears in the deepest folder of
 * the absolute path that is there now. */
void device_wait_watch(int fd, const char *path);

/* The device may be about to be plugged in: wait for it as configured. For the one that
 * is to have it; the open says so when it does not come. */
struct disk;
void device_wait_for_disk(struct disk *d);

#endif
