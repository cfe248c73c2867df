/* SPDX-License-Identifier: BSD-3-Clause */
/* disk_latency.h - how long the requests of VMs took, as services say it. */
#ifndef BATON_DISK_LATENCY_H
#define BATON_DISK_LATENCY_H

#include <jansson.h>

struct disk;

/* {"read": {count, errors, bytes, p50_ns, p99_ns, p999_ns, max_ns}, ...} of the
 * requests that VMs sent to d since its stack was opened; operations without any are
 * left out. */
json_t *disk_latency_json(struct disk *d);

#endif
