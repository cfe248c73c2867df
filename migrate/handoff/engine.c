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
stage_of(struct handoff *h)
{
    LK_GUARD(&h->lock);

    return job_locked(h)->stage;
}

static void
finish(struct handoff *h, int rc, const struct err *e, const char *outcome)
{
    const bool is_abandoned = stage_of(h) == JOB_ABANDONED;
    struct handoff_table *t = h->service->handoffs;
    json_t *report = job_report(h, outcome);

    job_turn_leave(h);
    /* Both at once: else an abort of this job would hit the drain of the next one, or
     * the next one would find the disks busy with a job that is gone. */
    lk_acquire(&t->lock);
    if (!is_abandoned) { /* else the claims are for whoever wished it */
        job_unclaim_disks(h);
    }
    LIST_REMOVE(h, link);
    lk_release(&t->lock);
    lk_acquire(&h->lock);
    job_locked(h)->is_finished = true;
    job_locked(h)->rc = rc;
    job_locked(h)->err = *e;
    job_locked(h)->report = report;
    cv_broadcast(&h->changed);
    lk_release(&h->lock);
    job_unref(h); /* the table's */
    job_unref(h); /* the thread's */
}

/* PREPARE to EJECT. On failure *ret_phase is the one that failed. */
static int
up_to_commit(struct handoff *h, enum handoff_phase *ret_phase, struct err *e)
{
    static int (*const steps[])(struct handoff *, struct err *) = {
        step_prepare, step_hold, step_drain, step_flush, step_eject};
    int rc = 0;

    for (unsigned p = HANDOFF_PREPARE; p <= HANDOFF_EJECT && rc == 0; p++) {
        if (job_is_of_parked(h) && p > HANDOFF_PREPARE && p < HANDOFF_EJECT) {
            continue; /* all that was done when it was parked */
        }
        *ret_phase = p;
        if (p != HANDOFF_PREPARE) {
            job_set_phase(h, p);
        }
        rc = steps[p](h, e);
    }
    return rc;
}

static void
abort_job(struct handoff *h, enum handoff_phase failed, int rc, struct err *e)
{
    step_roll_back(h);
    job_set_phase(h, HANDOFF_ABORTED);
    if (job_is_abort_wanted(h)) { /* whatever it was that ended, that was the reason */
        rc = err_set(e, -ECANCELED, "aborted on request");
    }
    (void)err_prefix(e, rc, "%s", handoff_phase_name(failed));
    if (strlen(e->msg) + 200 < sizeof e->msg) {
        size_t n = strlen(e->msg);

        (void)snprintf(e->msg + n, sizeof e->msg - n,
                       "; nothing changed: %s is still %s %s", h->target,
                       job_is_of_parked(h) ? "parked at" : "served by",
                       h->service->cfg->name);
    }
    log_warn("handoff of %s aborted: %s", h->target, e->msg);
    finish(h, rc, e, "aborted");
}

/* Everything as after a restart: requests wait in the channel, nobody asks. */
static void
abandon_job(struct handoff *h)
{
    struct err e = {0};

    step_follow(h);
    (void)err_set(&e, -EREMOTEIO,
                  "%s was committed to %s, which never answered, and was abandoned for "
                  "baton recover",
                  h->target, h->next[0].peer_name);
    log_warn("%s", e.msg);
    finish(h, -EREMOTEIO, &e, "abandoned");
}

static void
refused(struct handoff *h, struct err *e)
{
    const char *service = h->service->cfg->name;

    log_warn("%s: %s: taking it back", h->target, e->msg);
    if (job_is_of_parked(h)) {
        step_parked_again(h);
    } else {
        step_take_back(h);
    }
    job_set_phase(h, HANDOFF_TAKEN_BACK);
    log_info("%s is %s %s again", h->target,
             job_is_of_parked(h) ? "parked at" : "owned by", service);
    (void)err_prefix(e, -EREMOTEIO, "assign: %s is still %s %s, nothing was lost",
                     h->target, job_is_of_parked(h) ? "parked at" : "served by",
                     service);
    finish(h, -EREMOTEIO, e, "taken-back");
}

static void
after_commit(struct handoff *h)
{
    struct err e = {0};
    int rc;

    job_set_phase(h, HANDOFF_ASSIGN);
    rc = step_assign(h, &e);
    if (rc == -ECANCELED) {
        abandon_job(h);
        return;
    }
    if (rc < 0) {
        refused(h, &e);
        return;
    }
    step_replay(h);
    job_set_phase(h, HANDOFF_DONE);
    (void)record_settle(h->service->records,
                        &e); /* the next commit does it otherwise */
    log_info("%s is owned by %s now, at epoch %" PRIu64, h->target,
             h->next[0].peer_name, h->next[0].epoch);
    finish(h, 0, &e, "done");
}

static void
end_park(struct handoff *h)
{
    struct err e = {0};

    job_set_phase(h, HANDOFF_DONE);
    (void)record_settle(h->service->records, &e); /* as above */
    log_info("%s is parked", h->target);
    finish(h, 0, &e, "parked");
}

static void *
run(void *arg)
{
    struct handoff *h = arg;

    (void)urgency_set(URGENCY_CONTROL);
    if (job_is_resumed(h)) {
        (void)BREAKPOINT("owner-resumed");
    } else {
        enum handoff_phase phase = HANDOFF_PREPARE;
        struct err e = {0};
        int rc = up_to_commit(h, &phase, &e);

        if (rc < 0) {
            abort_job(h, phase, rc, &e);
            return NULL;
        }
    }
    if (h->kind == JOB_PARK) {
        end_park(h);
    } else {
        after_commit(h);
    }
    return NULL;
}

int
engine_start(struct handoff *h, struct err *e)
{
    pthread_t thread;
    int rc;

    h->locked_.refs = 2; /* the table's and the thread's */
    h->started_ns = clock_now_ns();
    h->locked_.phase_began_ns = h->started_ns;
    LIST_INSERT_HEAD(&h->service->handoffs->jobs, h, link);
    rc = pthread_create(&thread, NULL, run, h);
    if (rc != 0) {
        LIST_REMOVE(h, link);
        return err_set(e, -rc, "no thread for the handoff");
    }
    (void)pthread_detach(thread);
    return 0;
}
