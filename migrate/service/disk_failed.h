/* SPDX-License-Identifier: BSD-3-Clause */
/* disk_failed.h - a disk that cannot be served, while the others are
 * (daemon/mend.h). */
#ifndef BATON_DISK_FAILED_H
#define BATON_DISK_FAILED_H

#include <stdbool.h>

#include "err.h"

struct disk;
struct service;

/* The claim of a disk in trouble, so that it is not tried meanwhile; disk_unclaim().
 * -EBUSY: it is being tried, or has such a claim; -EAGAIN: it is not in trouble. */
int disk_failed_claim(struct disk *d, struct err *e);

/* Have what is in trouble tried again now. */
void disk_failed_try_now(struct service *s);

/* Note why d cannot be served; "": it is. Is it news? */
bool disk_failed_set(struct disk *d, const char *why);

/* Is d in trouble? Then e (which may be NULL) says so, with the reason. */
bool disk_failed_is(struct disk *d, struct err *e);

#endif
