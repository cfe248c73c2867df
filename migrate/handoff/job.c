/* SPDX-License-Identifier: BSD-3-Clause */
/* The job: its phases in order, and what follows when one fails. */
#include "job.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breakpoint.h"
#include "clock.h"
#include "job_turn.h"
#include "log.h"
#include "step_parked.h"
#include "trace.h"
#include "urgency.h"

const char *
handoff_phase_name(enum handoff_phase p)
{
    static const char *const names[HANDOFF_NR_PHASES] = {
        "prepare", "hold",   "drain", "flush",   "eject",
        "assign",  "replay", "done",  "aborted", "taken-back"};

    assert((unsigned)p < HANDOFF_NR_PHASES);
    return names[p];
}

/* Requests are held from HOLD until the queue is let go in REPLAY. A job that goes on
 * after a restart is one of many, which connect first. */
static void
hurry(const struct handoff *h, enum handoff_phase p)
{
    bool is_stall = p >= HANDOFF_HOLD && p <= HANDOFF_REPLAY && !h->is_resumed;

    (void)urgency_set(is_stall ? URGENCY_STALL : URGENCY_CONTROL);
}

void
job_set_phase(struct handoff *h, enum handoff_phase next)
{
#define TO(p) [HANDOFF_##p] = true
    static const bool allowed[HANDOFF_NR_PHASES][HANDOFF_NR_PHASES] = {
        [HANDOFF_PREPARE] = {TO(HOLD), TO(ABORTED), TO(ASSIGN) /* resumed */,
                             TO(EJECT) /* of what is parked */},
        [HANDOFF_HOLD] = {TO(DRAIN), TO(ABORTED)},
        [HANDOFF_DRAIN] = {TO(FLUSH), TO(ABORTED)},
        [HANDOFF_FLUSH] = {TO(EJECT), TO(ABORTED)},
        [HANDOFF_EJECT] = {TO(ASSIGN), TO(ABORTED), TO(DONE) /* parked */},
        [HANDOFF_ASSIGN] = {TO(REPLAY), TO(TAKEN_BACK)},
        [HANDOFF_REPLAY] = {TO(DONE), TO(TAKEN_BACK) /* forgotten in a crash */},
    };
#undef TO
    struct handoff_locked *l;
    uint64_t now_ns = clock_now_ns();

    hurry(h, next);
    LK_GUARD(&h->lock);
    l = job_locked(h);
    trace_state("handoff", h->target, handoff_phase_name(l->phase),
                handoff_phase_name(next));
    assert(allowed[l->phase][next]);
    h->phase_ns[l->phase] = now_ns - l->phase_began_ns;
    l->phase = next;
    l->phase_began_ns = now_ns;
    l->detail[0] = '\0';
    l->news++;
    cv_broadcast(&h->changed);
}

void
job_detail(struct handoff *h, const char *fmt, ...)
{
    va_list ap;
    LK_GUARD(&h->lock);

    va_start(ap, fmt);
    (void)vsnprintf(job_locked(h)->detail, sizeof job_locked(h)->detail, fmt, ap);
    va_end(ap);
    job_locked(h)->news++;
    cv_broadcast(&h->changed);
}

int
job_check(struct handoff *h, struct err *e)
{
    LK_GUARD(&h->lock);

    if (job_locked(h)->is_abort_wanted) {
        return err_set(e, -ECANCELED, "aborted on request");
    }
    if (clock_now_ns() >= h->deadline_ns) {
        return err_set(e, -ETIMEDOUT, "the deadline of %" PRIu64 " ms has passed",
                       h->deadline_len_ns / NS_PER_MS);
    }
    return 0;
}

void
job_unref(struct handoff *h)
{
    bool is_last;

    lk_acquire(&h->lock);
    is_last = --job_locked(h)->refs == 0;
    lk_release(&h->lock);
    if (is_last) {
        json_decref(h->locked_.report);
        rpc_client_close(h->peer);
        cv_done(&h->changed);
        lk_done(&h->lock);
        free(h);
    }
}

static void
finish(struct handoff *h, int rc, const struct err *e, const char *outcome)
{
    struct handoff_table *t = h->service->handoffs;
    json_t *report = job_report(h, outcome);

    job_leave_turn(h);
    /* Both at once: else an abort of this job would hit the drain of the next one, or
     * the next one would find the disks busy with a job that is gone. */
    lk_acquire(&t->lock);
    for (unsigned i = 0; i < h->nr && !h->leaves_claims; i++) {
        disk_unclaim(h->disks[i]);
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
        job_prepare, job_hold, job_drain, job_flush, job_eject};
    int rc = 0;

    for (unsigned p = HANDOFF_PREPARE; p <= HANDOFF_EJECT && rc == 0; p++) {
        if (h->is_parked && p > HANDOFF_PREPARE && p < HANDOFF_EJECT) {
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

static bool
is_abort_wanted(struct handoff *h)
{
    LK_GUARD(&h->lock);

    return job_locked(h)->is_abort_wanted;
}

static void
abort_job(struct handoff *h, enum handoff_phase failed, int rc, struct err *e)
{
    job_roll_back(h);
    job_set_phase(h, HANDOFF_ABORTED);
    if (is_abort_wanted(h)) { /* whatever it was that ended, that was the reason */
        rc = err_set(e, -ECANCELED, "aborted on request");
    }
    (void)err_prefix(e, rc, "%s", handoff_phase_name(failed));
    if (strlen(e->msg) + 200 < sizeof e->msg) {
        size_t n = strlen(e->msg);

        (void)snprintf(e->msg + n, sizeof e->msg - n,
                       "; nothing changed: %s is still %s %s", h->target,
                       h->is_parked ? "parked at" : "served by", h->service->cfg->name);
    }
    log_warn("handoff of %s aborted: %s", h->target, e->msg);
    finish(h, rc, e, "aborted");
}

/* Everything as after a restart: requests wait in the channel, nobody asks. */
static void
abandon_job(struct handoff *h)
{
    struct err e = {0};

    job_follow(h);
    h->leaves_claims = true;
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
    if (h->is_parked) {
        job_park_again(h);
    } else {
        job_take_back(h);
    }
    job_set_phase(h, HANDOFF_TAKEN_BACK);
    log_info("%s is %s %s again", h->target, h->is_parked ? "parked at" : "owned by",
             service);
    (void)err_prefix(e, -EREMOTEIO, "assign: %s is still %s %s, nothing was lost",
                     h->target, h->is_parked ? "parked at" : "served by", service);
    finish(h, -EREMOTEIO, e, "taken-back");
}

static void
after_commit(struct handoff *h)
{
    struct err e = {0};
    int rc = job_assign(h, &e);

    if (rc == -ECANCELED) {
        abandon_job(h);
        return;
    }
    if (rc < 0) {
        refused(h, &e);
        return;
    }
    job_replay(h);
    job_set_phase(h, HANDOFF_DONE);
    (void)record_settle(h->service->records,
                        &e); /* the next commit does it otherwise */
    log_info("%s is owned by %s now, at epoch %" PRIu64, h->target,
             h->next[0].peer_name, h->next[0].epoch);
    finish(h, 0, &e, "done");
}

void *
job_run(void *arg)
{
    struct handoff *h = arg;
    enum handoff_phase phase = HANDOFF_PREPARE;
    struct err e = {0};
    int rc;

    (void)urgency_set(URGENCY_CONTROL);
    if (!h->is_resumed) {
        rc = up_to_commit(h, &phase, &e);
        if (rc < 0) {
            abort_job(h, phase, rc, &e);
            return NULL;
        }
        if (h->to_text[0] == '\0') {
            job_set_phase(h, HANDOFF_DONE);
            (void)record_settle(h->service->records, &e); /* as above */
            log_info("%s is parked", h->target);
            finish(h, 0, &e, "parked");
            return NULL;
        }
    }
    if (h->is_resumed) {
        (void)BREAKPOINT("owner-resumed");
    }
    job_set_phase(h, HANDOFF_ASSIGN);
    after_commit(h);
    return NULL;
}
