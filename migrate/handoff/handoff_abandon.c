/* SPDX-License-Identifier: BSD-3-Clause */
/* A committed handoff that nobody answers, given up because a person decided so. */
#include <errno.h>

#include "clock.h"
#include "handoff_table.h"

/* One question to the next owner may take 30 s, and is not broken off: its answer would
 * be the better way out. */
#define ABANDON_WAIT_NS (40 * NS_PER_S)

/* With a reference, or NULL. */
static struct handoff *
find_job(struct handoff_table *t, const struct disk *d)
{
    struct handoff *h;
    LK_GUARD(&t->lock);

    h = handoff_table_of_disk_locked(t, d);
    if (h != NULL) {
        job_ref(h);
    }
    return h;
}

/* Ask the thread to stop, and wait until it has: 0, or -EALREADY when it got an answer
 * before. */
static int
stop_asking(struct handoff *h, struct err *e)
{
    uint64_t until_ns = clock_deadline_ns(ABANDON_WAIT_NS);
    LK_GUARD(&h->lock);

    if (job_locked(h)->stage < JOB_COMMITTED) {
        return err_set(e, -EBUSY, "a handoff of %s is going on", h->target);
    }
    if (job_locked(h)->wish == JOB_ABANDON) {
        return err_set(e, -EBUSY, "%s is being taken already", h->target);
    }
    job_locked(h)->wish = JOB_ABANDON;
    cv_broadcast(&h->changed);
    while (!job_locked(h)->is_finished && job_locked(h)->stage != JOB_ANSWERED) {
        bool is_late = cv_wait_until(&h->changed, &h->lock, until_ns) == -ETIMEDOUT;

        if (is_late && job_locked(h)->stage != JOB_ABANDONED) {
            job_locked(h)->wish = JOB_GO_ON;
            break;
        }
        until_ns = is_late ? CLOCK_NEVER : until_ns; /* it is on its last lines */
    }
    if (job_locked(h)->is_finished && job_locked(h)->stage == JOB_ABANDONED) {
        return 0;
    }
    if (job_locked(h)->stage == JOB_ANSWERED) {
        return err_set(e, -EALREADY,
                       "%s has answered just now: the handoff of %s goes on",
                       h->next[0].peer_name, h->target);
    }
    return job_locked(h)->is_finished /* it parked them */
               ? err_set(e, -EALREADY, "the handoff of %s has ended just now",
                         h->target)
               : err_set(e, -ETIMEDOUT, "the handoff of %s cannot be stopped",
                         h->target);
}

int
handoff_abandon(struct service *s, struct disk *d, struct err *e)
{
    struct handoff *h = find_job(s->handoffs, d);
    int rc;

    if (h == NULL) {
        return -ENOENT;
    }
    rc = stop_asking(h, e);
    job_unref(h);
    return rc;
}
