/* SPDX-License-Identifier: BSD-3-Clause */
/* step_there.h - private to migrate/handoff: disks of a VM that are not owned here. */
#ifndef BATON_STEP_THERE_H
#define BATON_STEP_THERE_H

#include "job.h"

/* They count as done when the next owner owns them, by its own word. Nothing of them
 * changes, so nobody claims them. -EREMOTE and a sentence: one is elsewhere. */
int step_there_look(struct job *j, struct err *e);

#endif
