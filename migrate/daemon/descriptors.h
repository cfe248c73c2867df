/* SPDX-License-Identifier: BSD-3-Clause */
/* descriptors.h - private to migrate/daemon: enough descriptors for all disks. */
#ifndef BATON_DESCRIPTORS_H
#define BATON_DESCRIPTORS_H

#include "err.h"

struct service_config;

/* Raise the soft limit to the hard one, and say in the log if that will not do. */
void descriptors_provide(const struct service_config *cfg);

/* May a disk take some, or are those that are left for connections? -EMFILE and a
 * sentence. */
int descriptors_check(struct err *e);

#endif
