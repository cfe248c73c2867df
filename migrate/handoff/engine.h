/* SPDX-License-Identifier: BSD-3-Clause */
/* engine.h - private to migrate/handoff: a job runs. */
#ifndef BATON_ENGINE_H
#define BATON_ENGINE_H

#include "job.h"

/* Put j into the table, whose lock is held, and start its thread, which holds a
 * reference, and so does the table. Its disks are claimed; from now on the thread ends
 * that. On failure j is the caller's as before. */
int engine_start(struct job *j, struct err *e);

#endif
