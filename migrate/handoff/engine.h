/* SPDX-License-Identifier: BSD-3-Clause */
/* engine.h - private to migrate/handoff: a job runs. */
#ifndef BATON_ENGINE_H
#define BATON_ENGINE_H

#include "job.h"

/* Put h into the table, whose lock is held, and start its thread, which holds a
 * reference, and so does the table. Its disks are claimed; from now on the thread ends
 * that. On failure h is the caller's as before. */
int engine_start(struct handoff *h, struct err *e);

#endif
