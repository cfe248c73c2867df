/* SPDX-License-Identifier: BSD-3-Clause */
/* preflight.h - what "baton vm migrate" checks before it asks libvirt to migrate. */
#ifndef BATON_PREFLIGHT_H
#define BATON_PREFLIGHT_H

#include <jansson.h>

#include "err.h"

struct virt;

/* Two services understand each other if the first number of their versions is the same.
 * (They often differ: a host is emptied for an update.) -EPROTO if not. here and there
 * are their answers to "status". */
int preflight_versions(const json_t *here, const json_t *there, struct err *e);

/* Has the host of the libvirt at dest enough free memory for the running domain? Memory
 * counts as free if it can be had without swapping, so the page cache does. -ENOMEM:
 * no. Other -errno: this process cannot ask, which says nothing about the migration,
 * since libvirtd connects by itself and with its own keys. */
int preflight_memory(struct virt *v, const char *domain, const char *dest,
                     struct err *e);

#endif
