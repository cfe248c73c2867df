/* SPDX-License-Identifier: BSD-3-Clause */
/* step_parked.h - private to migrate/handoff: disks that are parked, and handed on from
 * there. PREPARE is followed by the commit, since nothing has to be held, drained or
 * flushed. None of it needs the device of a disk, which may be where the next owner is
 * by now. Before the commit the disks are still parked, and a refusal parks them again.
 */
#ifndef BATON_STEP_PARKED_H
#define BATON_STEP_PARKED_H

#include "job.h"

/* The disks are parked: next[i] gets what their devices were like then, which is kept
 * until they are handed on, and the instance that has flushed. Without it when a device
 * cannot be read: then it has to be there when the disk is handed on. */
void step_parked_remember(struct job *j);
/* Before disks are parked: will their devices be there for who unparks them here? An
 * errno and a sentence if not. Of a device that is an NBD server it is not asked: it
 * may admit only one of us. */
int step_parked_can_unpark(struct job *j, struct err *e);
/* For make_next_records() of disks that are parked: the same, from their records. */
int step_parked_recall(struct job *j, struct err *e);
/* Is theirs the device that disk i was parked with? -EINVAL. */
int step_parked_compare(struct job *j, unsigned i, const struct identity *theirs,
                        struct err *e);
/* The next owner refused what was parked: park it again, at epoch N+2, without its
 * device. Goes on until done. Should the next owner have served, and then have
 * forgotten it in a crash, the channel may have kept what was acknowledged: it stays,
 * and that is written when the disk is owned again; till then it is not handed on. */
void step_parked_again(struct job *j);

#endif
