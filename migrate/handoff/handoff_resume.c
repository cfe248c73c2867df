/* SPDX-License-Identifier: BSD-3-Clause */
/* After a restart: what was given away and may not be known at its new owner yet. */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "engine.h"
#include "handoff_table.h"

/* -EBUSY: one of them is busy, is in trouble (mend.c resumes it when it is not any
 * more), or was, and has another record now than was read before. */
static int
claim_unchanged(struct job *j, struct err *e)
{
    int rc = job_claim_disks(j, e);

    if (rc < 0) {
        return rc == -EAGAIN ? -EBUSY : rc;
    }
    for (unsigned i = 0; i < j->nr; i++) {
        struct record now = disk_record(j->disks[i]);

        if (now.role != ROLE_GIVEN || now.epoch != j->next[i].epoch || now.is_learned) {
            rc = err_set(e, -EBUSY, "%s was busy", now.name);
        }
    }
    if (rc < 0) {
        job_unclaim_disks(j);
    }
    return rc;
}

/* The disks that were given at once go on as one job, so that a refusal takes all of
 * them back. `first` is the first of them. */
static int
resume_group(struct service *s, unsigned first, const struct record *rec, struct err *e)
{
    const struct handoff_request rq = {
        .kind = rec->has_parked ? JOB_RESUME_HAND_ON_PARKED : JOB_RESUME_HAND_OVER,
        .target = target_of("", s->disks[first].cfg->name),
        .to = rec->peer_control,
        .budget_ns = CLOCK_NEVER};
    struct job *j = job_alloc(s, &rq);
    int rc;

    if (j == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    for (unsigned i = first; i < s->nr_disks && j->nr < GROUP_MAX_DISKS; i++) {
        struct record other = disk_record(&s->disks[i]);

        if (i == first || (other.role == ROLE_GIVEN && rec->handoff != 0 &&
                           other.handoff == rec->handoff)) {
            j->next[j->nr] = other;
            j->disks[j->nr++] = &s->disks[i];
        }
    }
    if (j->nr > 1 && rec->vm[0] != '\0') {
        const struct target all_of_vm = target_of(rec->vm, "");

        memcpy(j->target, all_of_vm.text, sizeof j->target);
    }
    j->has_followed = true; /* disk_start() has put the channel in */
    j->locked_.stage = JOB_COMMITTED;
    j->locked_.committed_ns = clock_now_ns();
    rc = uri_parse(rec->peer_control, URI_FOR_CONTROL, e, &j->to);
    if (rc == 0) {
        rc = claim_unchanged(j, e);
    }
    if (rc == 0) {
        LK_GUARD(&s->handoffs->lock);

        rc = engine_start(j, e);
        if (rc < 0) {
            job_unclaim_disks(j);
        }
    }
    if (rc < 0) {
        job_free(j);
    }
    return rc;
}

/* Is an earlier disk of the same handoff there, with which this one goes on? */
static bool
is_resumed_already(struct service *s, unsigned at, const struct record *rec)
{
    for (unsigned i = 0; i < at; i++) {
        struct record other = disk_record(&s->disks[i]);

        if (other.role == ROLE_GIVEN && rec->handoff != 0 &&
            other.handoff == rec->handoff) {
            return true;
        }
    }
    return false;
}

int
handoff_resume(struct service *s, struct err *e)
{
    int rc = 0;

    for (unsigned i = 0; i < s->nr_disks && rc == 0; i++) {
        struct record rec = disk_record(&s->disks[i]);

        if (rec.role == ROLE_GIVEN && !rec.is_learned &&
            !is_resumed_already(s, i, &rec)) {
            rc = resume_group(s, i, &rec, e);
            rc = rc == -EBUSY ? 0 : rc;
        }
    }
    return rc;
}
