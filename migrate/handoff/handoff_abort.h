/* SPDX-License-Identifier: BSD-3-Clause */
/* handoff_abort.h - private to handoff*.c: what an abort needs to find and to end. */
#ifndef BATON_HANDOFF_ABORT_H
#define BATON_HANDOFF_ABORT_H

#include "job.h"

/* The job of exactly this target; the table's lock is held. NULL: none. */
struct handoff *handoff_find_locked(struct handoff_table *t, const char *target);

void job_ref(struct handoff *h);

/* flusher_start() of d, which waits for an earlier flush that somebody gave up: told,
 * and ended by an abort. */
int job_begin_flush(struct handoff *h, struct disk *d, enum urgency urgency,
                    uint64_t deadline_ns, struct err *e);

#endif
