/* SPDX-License-Identifier: BSD-3-Clause */
/* preflight.h - what "baton vm migrate" looks at before libvirt is asked. */
#ifndef BATON_PREFLIGHT_H
#define BATON_PREFLIGHT_H

#include <jansson.h>

#include "err.h"

struct virt;

/* Two services understand each other while the first number of their versions is the
 * same; one that is emptied for an update is usually older than the next owner.
 * -EPROTO; here and there are their answers to "status". */
int preflight_versions(const json_t *here, const json_t *there, struct err *e);

/* Has the host of libvirt at dest room for the memory of the running domain? Free is
 * what could be had without swapping: a page cache gives way. -ENOMEM; -errno: it
 * cannot be asked, which says nothing about the migration, since libvirtd goes there
 * itself and by its own keys. */
int preflight_memory(struct virt *v, const char *domain, const char *dest,
                     struct err *e);

#endif
