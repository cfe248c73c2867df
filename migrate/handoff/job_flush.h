/* SPDX-License-Identifier: BSD-3-Clause */
/* job_flush.h - private to migrate/handoff: flushes of all disks at once. */
#ifndef BATON_JOB_FLUSH_H
#define BATON_JOB_FLUSH_H

#include "job.h"

/* flusher_start() of each disk. It waits for an earlier flush that somebody gave up,
 * until deadline_ns: that is told, and ended by an abort. */
int job_flush_start(struct job *j, enum urgency urgency, uint64_t deadline_ns,
                    struct err *e);

#endif
