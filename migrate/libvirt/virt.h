/* SPDX-License-Identifier: BSD-3-Clause */
/* virt.h - the little of libvirt that "baton vm" uses. virt.c and virt_plug.c are the
 * only users of libvirt's library. One thread. */
#ifndef BATON_VIRT_H
#define BATON_VIRT_H

#include <stdbool.h>

#include "err.h"

struct virt;

/* uri: NULL for libvirt's default. */
int virt_open(const char *uri, struct err *e, struct virt **ret_v);
void virt_close(struct virt *v); /* NULL is fine */

/* Add a disk to the stored definition of a domain, and to the running one if it runs.
 */
int virt_attach(struct virt *v, const char *domain, const char *disk_xml,
                struct err *e);

/* The memory that a running domain has now, and the memory that the host could give to
 * a new domain without swapping. */
int virt_memory_of(struct virt *v, const char *domain, struct err *e,
                   unsigned long long *ret_kib);
int virt_spare_memory(struct virt *v, struct err *e, unsigned long long *ret_kib);

/* Call on_domain for each domain. If it returns another value than 0, no further domain
 * is passed, and virt_each() returns that value. */
typedef int (*virt_on_domain)(void *opaque, const char *name, bool is_active,
                              const char *xml);
int virt_each(struct virt *v, virt_on_domain on_domain, void *opaque, struct err *e);

/* Save the memory of a running domain to file and end the domain. NULL: libvirt keeps
 * the memory for the domain's next start. After a failure the domain runs on. */
int virt_save(struct virt *v, const char *domain, const char *file, struct err *e);

/* Migrate a running domain live, from libvirtd to libvirtd, with its definition.
 * on_tick is called a few times a second with the bytes that are left to copy, and
 * returns true to abort the migration. 0, -ECANCELED when it was aborted, or -errno
 * with libvirt's reason. After a failure the domain runs on where it was. */
typedef bool (*virt_on_tick)(void *opaque, unsigned long long bytes_left);
int virt_migrate(struct virt *v, const char *domain, const char *dest,
                 virt_on_tick on_tick, void *opaque, struct err *e);

#endif
