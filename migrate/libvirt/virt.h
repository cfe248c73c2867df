/* SPDX-License-Identifier: BSD-3-Clause */
/* virt.h - the little that "baton vm" wants of libvirt. virt.c is the only user of its
 * library. One thread. */
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

/* The stored definition of a domain; free(3) it. -ENOENT: there is none. */
int virt_stored_xml(struct virt *v, const char *domain, struct err *e, char **ret_xml);

/* The memory that a running domain has now, and what the host could give to a new one
 * without swapping. */
int virt_memory_of(struct virt *v, const char *domain, struct err *e,
                   unsigned long long *ret_kib);
int virt_spare_memory(struct virt *v, struct err *e, unsigned long long *ret_kib);

/* Each domain: name, is it running, its XML. Ends at the first that returns not 0, with
 * that. */
typedef int (*virt_on_domain)(void *opaque, const char *name, bool is_active,
                              const char *xml);
int virt_each(struct virt *v, virt_on_domain on_domain, void *opaque, struct err *e);

/* Save the memory of a running domain and end it: to file, or, NULL, where libvirt
 * keeps it for the domain's next start. It runs on where that fails. */
int virt_save(struct virt *v, const char *domain, const char *file, struct err *e);

/* Migrate a running domain live, from libvirtd to libvirtd, with its definition.
 * on_tick is called a few times a second with what is left to copy; true: abort it. 0;
 * -ECANCELED: aborted; other: libvirt's reason. The domain runs on where it was then.
 */
typedef bool (*virt_on_tick)(void *opaque, unsigned long long bytes_left);
int virt_migrate(struct virt *v, const char *domain, const char *dest,
                 virt_on_tick on_tick, void *opaque, struct err *e);

#endif
