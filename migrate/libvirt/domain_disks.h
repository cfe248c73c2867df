/* SPDX-License-Identifier: BSD-3-Clause */
/* domain_disks.h - which disks of a service a domain of libvirt has. */
#ifndef BATON_DOMAIN_DISKS_H
#define BATON_DOMAIN_DISKS_H

#include <jansson.h>

#include "err.h"

struct virt;

/* The names of the disks that the running domain has from the service whose status is
 * report (vm_status.h), as a JSON array; those with this role only, unless role is
 * NULL. Backing stores are left out, since other domains may use them, too. -ENOENT: no
 * such domain runs; other -errno of libvirt. */
int domain_disks_find(struct virt *v, const char *domain, const json_t *report,
                      const char *role, struct err *e, json_t **ret_disks);

#endif
