/* SPDX-License-Identifier: BSD-3-Clause */
/* stall_forecast.h (forecast_*) - private to migrate/handoff: what can be done, and
 * known, of the stall before anything is held. The stall lasts from HOLD until the
 * gates are open again:
 *
 *   drain   what is in flight at the device ends, first that of the next owner's
 *           clients, of which it says itself how long it takes (peer_drain), then ours
 *   flush   what was written since the last flush of PREPARE reaches the medium
 *   record  the commit: the rename of a file that is written already
 *   trip    the next owner is told, takes the devices and says so; one more to have it
 *           pause its clients
 *
 * Its own record, and the replay of the queue, come when the gates are open. */
#ifndef BATON_STALL_FORECAST_H
#define BATON_STALL_FORECAST_H

#include "job.h"

/* Look at how fast requests end from now on. */
void forecast_begin(struct job *j);

/* Flush again and again until there is little to write, or no less than before: the
 * first rounds write what has gathered in caches, the last one takes as long as the
 * flush under HOLD will. Once, when nothing is flushed there. While I/O flows; may
 * take minutes. */
int forecast_write_back(struct job *j, struct err *e);

/* Predict the stall; -ETIME and a sentence when that is more than the budget. */
int forecast_check(struct job *j, struct err *e);

#endif
