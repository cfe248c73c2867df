/* SPDX-License-Identifier: BSD-3-Clause */
#include "job_flush.h"

#include <errno.h>

#include "clock.h"

#define LOOK_AGAIN_NS (200 * NS_PER_MS)

static int
start_one(struct job *j, struct disk *d, enum urgency urgency, uint64_t deadline_ns,
          struct err *e)
{
    for (;;) {
        int rc =
            flusher_start(&d->flusher, redir_active(d->redir), urgency,
                          clock_earlier(deadline_ns, clock_deadline_ns(LOOK_AGAIN_NS)));

        if (rc == 0) {
            return 0;
        }
        if (rc != -ETIMEDOUT || clock_now_ns() >= deadline_ns) {
            return err_set(e, rc, "%s: an earlier flush of %s has not ended: %s",
                           d->cfg->name, d->cfg->device, err_text(NULL, rc));
        }
        job_detail(j, "%s: an earlier flush of %s has not ended", d->cfg->name,
                   d->cfg->device);
        rc = job_check(j, e);
        if (rc < 0) {
            return err_prefix(e, rc, "%s: an earlier flush of %s has not ended",
                              d->cfg->name, d->cfg->device);
        }
    }
}

int
job_flush_start(struct job *j, enum urgency urgency, uint64_t deadline_ns,
                struct err *e)
{
    for (unsigned i = 0; i < j->nr; i++) {
        int rc = start_one(j, j->disks[i], urgency, deadline_ns, e);

        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}
