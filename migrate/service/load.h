/* SPDX-License-Identifier: BSD-3-Clause */
/* load.h - what a service's own clients do with some disks, looked at twice: are there
 * requests, and how long would those that are under way take? Any thread. */
#ifndef BATON_LOAD_H
#define BATON_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "disk.h"

struct load {
    uint64_t at_ns, ended, in_flight;
};

void load_look(struct disk *const *disks, unsigned nr, struct load *ret_p);

bool load_has_requests(const struct load *before, const struct load *now);

/* By Little's law; for a device that has ended nothing in between, as long as that has
 * taken already. 0 when there is nothing to wait for. */
uint64_t load_drain_ns(const struct load *before, const struct load *now);

#endif
