/* SPDX-License-Identifier: BSD-3-Clause */
/* urgency.h - how soon a thread gets a processor that all others want, too. A service
 * has hundreds of threads that serve requests; the few that hand a disk over must not
 * wait for a time slice (up to 4 ms, for each step) behind them. What raises a thread
 * needs CAP_SYS_NICE, or RLIMIT_NICE and RLIMIT_RTPRIO; without them nothing changes.
 * Threads that it starts do not inherit it. */
#ifndef BATON_URGENCY_H
#define BATON_URGENCY_H

#include <stdbool.h>

enum urgency {
    URGENCY_NORMAL,  /* as the process was started */
    URGENCY_CONTROL, /* control calls, PREPARE: a share of 28 ordinary threads (nice
                      * -15), since it may compute for seconds, for 1,000 disks */
    URGENCY_STALL,   /* while requests are held: before all others (SCHED_RR, 1) */
};

/* Of the calling thread. false when it is not allowed; then the next best is tried. A
 * process that somebody gave a policy or a higher priority of its own keeps that. */
bool urgency_set(enum urgency u);

#endif
