/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may begin a handoff, attach to it, abort it, and what they are told. */
#include "handoff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "engine.h"
#include "handoff_table.h"
#include "owner_follow.h"

#define COMMITTED_PATIENCE_NS (10 * NS_PER_S) /* then a caller gets -EINPROGRESS */
#define TELL_AGAIN_NS NS_PER_S /* a caller hears so often that it goes on */

/* Leave those of a VM that are neither owned nor parked here to PREPARE, which asks the
 * next owner whether it has them; unless all are. */
static void
set_aside_those_elsewhere(struct job *j)
{
    struct disk *here[GROUP_MAX_DISKS];
    unsigned nr_here = 0, nr_there = 0;

    for (unsigned i = 0; i < j->nr; i++) {
        enum role role = disk_record(j->disks[i]).role;

        if (role == ROLE_OWNER || role == ROLE_PARKED) {
            here[nr_here++] = j->disks[i];
        } else {
            j->there[nr_there++] = j->disks[i];
        }
    }
    if (nr_here > 0 && j->kind != JOB_PARK) {
        for (unsigned i = 0; i < nr_here; i++) {
            j->disks[i] = here[i];
        }
        j->nr = nr_here;
        j->nr_there = nr_there;
    }
}

static bool
is_each_parked(const struct job *j)
{
    for (unsigned i = 0; i < j->nr; i++) {
        if (disk_record(j->disks[i]).role != ROLE_PARKED) {
            return false;
        }
    }
    return true;
}

/* The disks are claimed: may they be handed, and as what? */
static int
check_roles(struct job *j, struct err *e)
{
    if (j->kind == JOB_HAND_OVER && is_each_parked(j)) {
        j->kind = JOB_HAND_ON_PARKED;
        return 0;
    }
    for (unsigned i = 0; i < j->nr; i++) {
        struct record rec = disk_record(j->disks[i]);

        if (rec.role == ROLE_GIVEN) {
            return err_set(e, -EPERM,
                           "%s is not owned by %s: it was given to %s at epoch %" PRIu64
                           "; ask %s",
                           rec.name, j->service->cfg->name, rec.peer_name, rec.epoch,
                           rec.peer_control);
        }
        if (rec.role != ROLE_OWNER) {
            return err_set(e, -EPERM, "%s is not owned by %s: it is %s here",
                           j->disks[i]->cfg->name, j->service->cfg->name,
                           rec.role == ROLE_PARKED ? "parked" : "on standby");
        }
    }
    return 0;
}

/* What rq names, claimed. */
static int
claim(struct job *j, const struct handoff_request *rq, struct err *e)
{
    struct service *s = j->service;
    int rc = 0;

    if (rq->kind != JOB_PARK) {
        rc = uri_parse(rq->to, URI_FOR_CONTROL, e, &j->to);
        if (rc < 0) {
            return rc;
        }
        if (config_is_own_control(s->cfg, &j->to)) {
            return err_set(e, -EINVAL, "%s is %s itself; give another service's URI",
                           j->to.text, s->cfg->name);
        }
    }
    rc = service_find_target(s, &rq->target, e, j->disks, &j->nr);
    if (rc < 0) {
        return rc;
    }
    set_aside_those_elsewhere(j);
    return job_claim_disks(j, e);
}

/* A new job for rq; the table's lock is held. */
static int
begin_locked(struct service *s, const struct handoff_request *rq, struct err *e,
             struct job **ret_h)
{
    struct job *j = job_alloc(s, rq);
    int rc;

    if (j == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    rc = claim(j, rq, e);
    if (rc == 0) {
        rc = check_roles(j, e);
        if (rc == 0) {
            rc = engine_start(j, e);
        }
        if (rc < 0) {
            job_unclaim_disks(j);
        }
    }
    if (rc < 0) {
        job_free(j);
        return rc;
    }
    *ret_h = j;
    return 0;
}

static bool
is_the_same(const struct job *j, const struct handoff_request *rq)
{
    if (j->kind == JOB_PARK || rq->kind == JOB_PARK) {
        return j->kind == rq->kind;
    }
    return strcmp(j->to_text, rq->to) == 0;
}

/* Attach to the same handoff, or begin it. The caller has a reference then. */
static int
attach_or_begin(struct service *s, const struct handoff_request *rq, struct err *e,
                struct job **ret_h)
{
    struct handoff_table *t = s->handoffs;
    struct job *j;
    int rc;
    LK_GUARD(&t->lock);

    j = handoff_table_find_locked(t, &rq->target);
    if (j != NULL && !is_the_same(j, rq)) {
        return err_set(e, -EBUSY, "%s is being %s%s already", rq->target.text,
                       j->kind == JOB_PARK ? "parked" : "handed to ",
                       j->kind == JOB_PARK ? "" : j->to_text);
    }
    if (j != NULL && job_is_abort_wanted(j)) {
        return err_set(e, -EBUSY,
                       "the handoff of %s is being aborted; ask again when it has "
                       "ended (baton status shows it)",
                       rq->target.text);
    }
    if (j == NULL) {
        rc = begin_locked(s, rq, e, &j);
        if (rc < 0) {
            return rc;
        }
    }
    job_ref(j);
    *ret_h = j;
    return 0;
}

/* Wait for news or the end, or until it is time to say the same again. *ret_now: what
 * is new. False: committed, and the caller has waited for long enough. */
static bool
await_news(struct job *j, uint64_t seen, struct job_locked *ret_now)
{
    const uint64_t again_ns = clock_deadline_ns(TELL_AGAIN_NS);
    uint64_t patience_ns;
    LK_GUARD(&j->lock);

    for (;;) {
        *ret_now = *job_locked(j);
        patience_ns = ret_now->committed_ns != 0
                          ? ret_now->committed_ns + COMMITTED_PATIENCE_NS
                          : CLOCK_NEVER;
        if (ret_now->is_finished || ret_now->news != seen) {
            return true;
        }
        if (cv_wait_until(&j->changed, &j->lock,
                          clock_earlier(patience_ns, again_ns)) == -ETIMEDOUT) {
            *ret_now = *job_locked(j);
            return ret_now->is_finished || clock_now_ns() < patience_ns;
        }
    }
}

/* Until the end; what is new goes to the caller, outside the lock. */
static int
wait_for_job(struct job *j, handoff_on_progress on_progress, void *opaque,
             struct err *e, json_t **ret_report)
{
    struct job_locked now;
    uint64_t seen = 0;

    while (await_news(j, seen, &now)) {
        if (now.is_finished) {
            *e = now.err;
            /* A copy, since others may be told the same at this moment. */
            *ret_report = now.rc == 0 ? json_deep_copy(now.report) : NULL;
            return now.rc;
        }
        seen = now.news;
        if (on_progress != NULL) {
            on_progress(opaque, now.phase, now.detail,
                        (clock_now_ns() - j->started_ns) / NS_PER_US);
        }
    }
    return err_set(
        e, -EINPROGRESS,
        "%s is committed to %s but not finished: %s; the services go on, see "
        "baton status",
        j->target, j->to_text, now.detail);
}

int
handoff_run(struct service *s, const struct handoff_request *rq,
            handoff_on_progress on_progress, void *opaque, struct err *e,
            json_t **ret_report)
{
    struct job *j = NULL;
    int rc = attach_or_begin(s, rq, e, &j);

    if (rc == 0) {
        rc = wait_for_job(j, on_progress, opaque, e, ret_report);
        job_unref(j);
    } else if (rc == -EPERM) {
        owner_follow_say_owner(s, &rq->target, e);
    }
    return rc;
}
