/* SPDX-License-Identifier: BSD-3-Clause */
/* appear.h - wait for a path: a device that is being plugged in. Thread-safe. */
#ifndef BATON_APPEAR_H
#define BATON_APPEAR_H

#include <stdint.h>

/* 0 as soon as there is something at the absolute path; a symbolic link with nothing at
 * its end does not count, nor the name of a device that is not there yet (ENXIO).
 * -ENOENT at deadline_ns. */
int appear_wait(const char *path, uint64_t deadline_ns);

#endif
