/* SPDX-License-Identifier: BSD-3-Clause */
/* job_turn.h - private to migrate/handoff: one group at a time. */
#ifndef BATON_JOB_TURN_H
#define BATON_JOB_TURN_H

#include "job.h"

/* From HOLD until the next owner serves no other group is held: the commit of each
 * would have to spread the records of the one before, 64 files, while requests wait. A
 * courtesy: a group that waits for an answer for ever does not stop the others for
 * long. Does nothing for a single disk. */
void job_turn_take(struct job *j);
void job_turn_leave(struct job *j);

#endif
