/* SPDX-License-Identifier: BSD-3-Clause */
/* descriptors.h - private to migrate/: enough of them for all disks. */
#ifndef BATON_DESCRIPTORS_H
#define BATON_DESCRIPTORS_H

#include <stdint.h>

#include "err.h"

struct service_config;

/* What all disks of cfg may need, each with one connection of a VM. */
uint64_t descriptors_needed(const struct service_config *cfg);

/* Raise the soft limit to the hard one, and say in the log if that will not do. */
void descriptors_provide(const struct service_config *cfg);

/* May a disk take some, or are those that are left for connections? -EMFILE and a
 * sentence. */
int descriptors_check(struct err *e);

#endif
