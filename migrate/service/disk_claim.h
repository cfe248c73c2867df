/* SPDX-License-Identifier: BSD-3-Clause */
/* disk_claim.h (disk_*) - a part of disk.h, which includes it: who may change a disk's
 * ownership now. */
#ifndef BATON_DISK_CLAIM_H
#define BATON_DISK_CLAIM_H

#include <stdint.h>

#include "err.h"

struct disk;

/* -EBUSY and a sentence when somebody else has the claim, -EAGAIN when the disk is in
 * trouble (disk_failed.h). what: static storage. */
int disk_claim(struct disk *d, const char *what, struct err *e);
/* The same, but wait until deadline_ns for another claim to end. */
int disk_claim_by(struct disk *d, const char *what, uint64_t deadline_ns,
                  struct err *e);
void disk_unclaim(struct disk *d);

/* The claimant of a handoff that is over but for its replay lets others write the
 * record; to end that waits for a write that is going on. */
void disk_share_claim(struct disk *d);
void disk_end_sharing(struct disk *d);

/* For a moment, to write what was learned of the owner, or while port B must stay where
 * it is: the claim, or a part of a shared one. A caller that wants the claim meanwhile
 * waits. Errors as those of disk_claim(). */
int disk_claim_record(struct disk *d, struct err *e);
void disk_unclaim_record(struct disk *d);

#endif
