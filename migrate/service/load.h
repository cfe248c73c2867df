/* SPDX-License-Identifier: BSD-3-Clause */
/* load.h - what a service's own clients do with some disks, looked at twice: are there
 * requests, and how long would those that are under way take? Any thread. */
#ifndef BATON_LOAD_H
#define BATON_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "disk.h"

struct pace {
    uint64_t at_ns, ended, in_flight;
};

void pace_look(struct disk *const *disks, unsigned nr, struct pace *ret_p);

bool pace_has_requests(const struct pace *before, const struct pace *now);

/* By Little's law; for a device that has ended nothing in between, as long as that has
 * taken already. 0 when there is nothing to wait for. */
uint64_t pace_drain_ns(const struct pace *before, const struct pace *now);

#endif
