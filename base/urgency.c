/* SPDX-License-Identifier: BSD-3-Clause */
#include "urgency.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#define NICE (-15)
#define REALTIME_PRIORITY 1 /* the lowest: before all ordinary threads is enough */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_left_alone; /* this and the next: set once, then constant */
static int normal_nice;

static void
look_at_process(void)
{
    normal_nice = getpriority(PRIO_PROCESS, (id_t)getpid());
    is_left_alone = sched_getscheduler(getpid()) != SCHED_OTHER || normal_nice <= NICE;
}

static bool
schedule(int policy, int priority)
{
    const struct sched_param p = {.sched_priority = priority};

    return sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &p) == 0;
}

bool
urgency_set(enum urgency u)
{
    bool is_allowed;

    (void)pthread_once(&once, look_at_process); /* cannot fail */
    if (is_left_alone) {
        return true;
    }
    if (u == URGENCY_STALL && schedule(SCHED_RR, REALTIME_PRIORITY)) {
        return true;
    }
    is_allowed = schedule(SCHED_OTHER, 0);
    is_allowed &= setpriority(PRIO_PROCESS, (id_t)gettid(),
                              u == URGENCY_NORMAL ? normal_nice : NICE) == 0;
    return is_allowed && u != URGENCY_STALL;
}
