/* SPDX-License-Identifier: BSD-3-Clause */
/* handoff_there.h - private to handoff*.c: disks of a VM that are not owned here. */
#ifndef BATON_HANDOFF_THERE_H
#define BATON_HANDOFF_THERE_H

#include "job.h"

/* They count as done when the next owner owns them, by its own word. Nothing of them
 * changes, so nobody claims them. -EREMOTE and a sentence: one is elsewhere. */
int job_look_there(struct handoff *h, struct err *e);

#endif
