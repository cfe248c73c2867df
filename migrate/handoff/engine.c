/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread of a job: its steps in order, and what follows when one fails. */
#include "engine.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "breakpoint.h"
#include "clock.h"
#include "handoff_table.h"
#include "job_report.h"
#include "job_turn.h"
#include "log.h"
#include "step.h"
#include "step_parked.h"
#include "urgency.h"

static enum job_stage
stage_of(struct job *j)
{
    LK_GUARD(&j->lock);

    return job_locked(j)->stage;
}

static void
finish(struct job *j, int rc, const struct err *e, const char *outcome)
{
    const bool is_abandoned = stage_of(j) == JOB_ABANDONED;
    struct handoff_table *t = j->service->handoffs;
    json_t *report = job_report(j, outcome);

    job_turn_leave(j);
    /* Both at once: else an abort of this job would hit the drain of the next one, or
     * the next one would find the disks busy with a job that is gone. */
    lk_acquire(&t->lock);
    if (!is_abandoned) { /* else the claims are for whoever wished it */
        job_unclaim_disks(j);
    }
    LIST_REMOVE(j, link);
    lk_release(&t->lock);
    lk_acquire(&j->lock);
    job_locked(j)->is_finished = true;
    job_locked(j)->rc = rc;
    job_locked(j)->err = *e;
    job_locked(j)->report = report;
    cv_broadcast(&j->changed);
    lk_release(&j->lock);
    job_unref(j); /* the table's */
    job_unref(j); /* the thread's */
}

/* PREPARE to EJECT. On failure *ret_phase is the one that failed. */
static int
up_to_commit(struct job *j, enum handoff_phase *ret_phase, struct err *e)
{
    static int (*const steps[])(struct job *, struct err *) = {
        step_prepare, step_hold, step_drain, step_flush, step_eject};
    int rc = 0;

    for (unsigned p = HANDOFF_PREPARE; p <= HANDOFF_EJECT && rc == 0; p++) {
        if (job_is_of_parked(j) && p > HANDOFF_PREPARE && p < HANDOFF_EJECT) {
            continue; /* all that was done when it was parked */
        }
        *ret_phase = p;
        if (p != HANDOFF_PREPARE) {
            job_set_phase(j, p);
        }
        rc = steps[p](j, e);
    }
    return rc;
}

static void
abort_job(struct job *j, enum handoff_phase failed, int rc, struct err *e)
{
    /* Whatever it was that ended, that was the reason; but a wish that comes from here
     * on ends nothing, and must not hide what did. */
    const bool is_wanted = job_is_abort_wanted(j);

    step_roll_back(j);
    job_set_phase(j, HANDOFF_ABORTED);
    if (is_wanted) {
        rc = err_set(e, -ECANCELED, "aborted on request");
    }
    (void)err_prefix(e, rc, "%s", handoff_phase_name(failed));
    if (strlen(e->msg) + 200 < sizeof e->msg) {
        size_t n = strlen(e->msg);

        (void)snprintf(e->msg + n, sizeof e->msg - n,
                       "; nothing changed: %s is still %s %s", j->target,
                       job_is_of_parked(j) ? "parked at" : "served by",
                       j->service->cfg->name);
    }
    log_warn("handoff of %s aborted: %s", j->target, e->msg);
    finish(j, rc, e, "aborted");
}

/* Everything as after a restart: requests wait in the channel, nobody asks. */
static void
abandon_job(struct job *j)
{
    struct err e = {0};

    step_follow(j);
    (void)err_set(&e, -EREMOTEIO,
                  "%s was committed to %s, which never answered; the handoff ends "
                  "here, for baton recover",
                  j->target, j->next[0].peer_name);
    log_warn("%s", e.msg);
    finish(j, -EREMOTEIO, &e, "abandoned");
}

static void
refused(struct job *j, struct err *e)
{
    const char *service = j->service->cfg->name;

    log_warn("%s: %s; taking it back", j->target, e->msg);
    if (job_is_of_parked(j)) {
        step_parked_again(j);
    } else {
        step_take_back(j);
    }
    job_set_phase(j, HANDOFF_TAKEN_BACK);
    log_info("%s is %s %s again", j->target,
             job_is_of_parked(j) ? "parked at" : "owned by", service);
    (void)err_prefix(e, -EREMOTEIO, "assign: %s is still %s %s, nothing was lost",
                     j->target, job_is_of_parked(j) ? "parked at" : "served by",
                     service);
    finish(j, -EREMOTEIO, e, "taken-back");
}

static void
after_commit(struct job *j)
{
    struct err e = {0};
    int rc;

    job_set_phase(j, HANDOFF_ASSIGN);
    rc = step_assign(j, &e);
    if (rc == -ECANCELED) {
        abandon_job(j);
        return;
    }
    if (rc < 0) {
        refused(j, &e);
        return;
    }
    step_replay(j);
    job_set_phase(j, HANDOFF_DONE);
    (void)record_settle(j->service->records,
                        &e); /* the next commit does it otherwise */
    log_info("%s is owned by %s now, at epoch %" PRIu64, j->target,
             j->next[0].peer_name, j->next[0].epoch);
    finish(j, 0, &e, "done");
}

static void
end_park(struct job *j)
{
    struct err e = {0};

    job_set_phase(j, HANDOFF_DONE);
    (void)record_settle(j->service->records, &e); /* as above */
    log_info("%s is parked", j->target);
    finish(j, 0, &e, "parked");
}

static void *
run(void *arg)
{
    struct job *j = arg;

    (void)urgency_set(URGENCY_CONTROL);
    if (job_is_resumed(j)) {
        (void)BREAKPOINT("owner-resumed");
    } else {
        enum handoff_phase phase = HANDOFF_PREPARE;
        struct err e = {0};
        int rc = up_to_commit(j, &phase, &e);

        if (rc < 0) {
            abort_job(j, phase, rc, &e);
            return NULL;
        }
    }
    if (j->kind == JOB_PARK) {
        end_park(j);
    } else {
        after_commit(j);
    }
    return NULL;
}

int
engine_start(struct job *j, struct err *e)
{
    pthread_t thread;
    int rc;

    j->locked_.refs = 2; /* the table's and the thread's */
    j->started_ns = clock_now_ns();
    j->locked_.phase_began_ns = j->started_ns;
    LIST_INSERT_HEAD(&j->service->handoffs->jobs, j, link);
    rc = pthread_create(&thread, NULL, run, j);
    if (rc != 0) {
        LIST_REMOVE(j, link);
        return err_set(e, -rc, "no thread for the handoff");
    }
    (void)pthread_detach(thread);
    return 0;
}
