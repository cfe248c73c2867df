/* SPDX-License-Identifier: BSD-3-Clause */
/* device_check.h (device_*) - is the device that is configured still the one that this
 * service had when it owned the disk last?
 *
 * A path may name another disk after a reboot, and nobody would see it. In a handoff
 * the owner's device is there to compare with; here only what is remembered is. What
 * the device is called for good decides, if that is known of both (WWN, serial number,
 * a logical volume's UUID, a file's inode): what is in it is its VM's business, and
 * that of the person who restores a backup into it. Without a name its samples do, if
 * nobody can have written since they were taken: it was closed in order by the last
 * life of this service, or parked. After a crash such a device is taken by its size
 * alone. */
#ifndef BATON_DEVICE_CHECK_H
#define BATON_DEVICE_CHECK_H

#include "err.h"

struct disk;
struct port;
struct service;

/* port is what the path names now, and as long as the disk. 0; -EINVAL and a sentence:
 * what differs, and what a person can do. Reads, at most the samples. */
int device_check(struct disk *d, struct port *port, struct err *e);

/* It could not be served in this life of the service: what was remembered of a device
 * that was closed in order holds for the next one, too. */
void device_keep(struct disk *d);

/* It is going to be served: what is remembered of its contents holds no more, whatever
 * crashes. -errno: it would. */
int device_begin(struct disk *d, struct err *e);

/* The disk is owned here at the epoch of its record, and port A is as good as it was
 * when it was taken: remember it. The caller has the claim. Failing to is told. */
void device_remember(struct disk *d);

/* port A is about to be closed, and flushed: remember what is in it, if that may be
 * needed. */
void device_remember_closed(struct disk *d, struct port *port);

/* A person says that what the path of that disk names now is its device: remember that,
 * and try again if it was in trouble. -EPERM: it is served here. */
int device_accept(struct service *s, const char *target, struct err *e);

#endif
