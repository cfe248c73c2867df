/* SPDX-License-Identifier: BSD-3-Clause */
/* A committed handoff that nobody answers, given up because a person decided so. */
#include <errno.h>

#include "clock.h"
#include "handoff_table.h"

/* One question to the next owner may take 30 s, and is not broken off: its answer would
 * be the better way out. */
#define ABANDON_WAIT_NS (40 * NS_PER_S)

/* With a reference, or NULL. */
static struct job *
find_job(struct handoff_table *t, const struct disk *d)
{
    struct job *j;
    LK_GUARD(&t->lock);

    j = handoff_table_of_disk_locked(t, d);
    if (j != NULL) {
        job_ref(j);
    }
    return j;
}

/* Ask the thread to stop, and wait until it has: 0, or -EALREADY when it got an answer
 * before. */
static int
stop_asking(struct job *j, struct err *e)
{
    uint64_t until_ns = clock_deadline_ns(ABANDON_WAIT_NS);
    LK_GUARD(&j->lock);

    if (job_locked(j)->stage < JOB_COMMITTED) {
        return err_set(e, -EBUSY, "a handoff of %s is going on", j->target);
    }
    if (job_locked(j)->wish == JOB_ABANDON) {
        return err_set(e, -EBUSY, "%s is being taken already", j->target);
    }
    job_locked(j)->wish = JOB_ABANDON;
    cv_broadcast(&j->changed);
    while (!job_locked(j)->is_finished && job_locked(j)->stage != JOB_ANSWERED) {
        bool is_late = cv_wait_until(&j->changed, &j->lock, until_ns) == -ETIMEDOUT;

        if (is_late && job_locked(j)->stage != JOB_ABANDONED) {
            job_locked(j)->wish = JOB_GO_ON;
            break;
        }
        until_ns = is_late ? CLOCK_NEVER : until_ns; /* it is on its last lines */
    }
    if (job_locked(j)->is_finished && job_locked(j)->stage == JOB_ABANDONED) {
        return 0;
    }
    if (job_locked(j)->stage == JOB_ANSWERED) {
        return err_set(e, -EALREADY, "%s has just answered: the handoff of %s goes on",
                       j->next[0].peer_name, j->target);
    }
    return job_locked(j)->is_finished /* it parked them */
               ? err_set(e, -EALREADY, "the handoff of %s has just ended", j->target)
               : err_set(e, -ETIMEDOUT, "the handoff of %s cannot be stopped",
                         j->target);
}

int
handoff_abandon(struct service *s, struct disk *d, struct err *e)
{
    struct job *j = find_job(s->handoffs, d);
    int rc;

    if (j == NULL) {
        return -ENOENT;
    }
    rc = stop_asking(j, e);
    job_unref(j);
    return rc;
}
