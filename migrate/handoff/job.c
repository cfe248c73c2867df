/* SPDX-License-Identifier: BSD-3-Clause */
/* A job as its steps, its thread and those who wait for it see it. */
#include "job.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "handoff_table.h"
#include "trace.h"
#include "urgency.h"

struct job *
job_alloc(struct service *s, const struct handoff_request *rq)
{
    struct job *j = calloc(1, sizeof *j);

    if (j != NULL) {
        j->service = s;
        (void)snprintf(j->target, sizeof j->target, "%s", rq->target.text);
        j->kind = rq->kind;
        if (rq->kind != JOB_PARK) {
            (void)snprintf(j->to_text, sizeof j->to_text, "%s", rq->to);
        }
        j->deadline_len_ns = rq->deadline_ns;
        j->deadline_ns = CLOCK_NEVER; /* counts from HOLD on */
        j->locked_.peer_fd = -1;
        j->budget_ns = rq->budget_ns;
        lk_init(&j->lock);
        cv_init(&j->changed);
    }
    return j;
}

void
job_free(struct job *j)
{
    cv_done(&j->changed);
    lk_done(&j->lock);
    free(j);
}

void
job_ref(struct job *j)
{
    LK_GUARD(&j->lock);

    job_locked(j)->refs++;
}

/* Requests are held from HOLD until the queue is let go in REPLAY. A job that goes on
 * after a restart is one of many, which connect first. */
static void
hurry(const struct job *j, enum handoff_phase p)
{
    bool is_stall = p >= HANDOFF_HOLD && p <= HANDOFF_REPLAY && !job_is_resumed(j);

    (void)urgency_set(is_stall ? URGENCY_STALL : URGENCY_CONTROL);
}

void
job_set_phase(struct job *j, enum handoff_phase next)
{
    struct job_locked *l;
    uint64_t now_ns = clock_now_ns();

    hurry(j, next);
    LK_GUARD(&j->lock);
    l = job_locked(j);
    trace_state("handoff", j->target, handoff_phase_name(l->phase),
                handoff_phase_name(next));
    assert(handoff_phase_allows(l->phase, next));
    j->phase_ns[l->phase] = now_ns - l->phase_began_ns;
    l->phase = next;
    l->phase_began_ns = now_ns;
    l->detail[0] = '\0';
    l->news++;
    cv_broadcast(&j->changed);
}

void
job_detail(struct job *j, const char *fmt, ...)
{
    va_list ap;
    LK_GUARD(&j->lock);

    va_start(ap, fmt);
    (void)vsnprintf(job_locked(j)->detail, sizeof job_locked(j)->detail, fmt, ap);
    va_end(ap);
    job_locked(j)->news++;
    cv_broadcast(&j->changed);
}

void
job_set_stage_locked(struct job *j, enum job_stage next)
{
#define TO(s) [JOB_##s] = true
    static const bool allowed[JOB_NR_STAGES][JOB_NR_STAGES] = {
        [JOB_OPEN] = {TO(COMMITTING), TO(ROLLING_BACK)},
        [JOB_COMMITTING] = {TO(COMMITTED), TO(ROLLING_BACK)},
        [JOB_COMMITTED] = {TO(ANSWERED), TO(ABANDONED)},
    };
#undef TO

    assert(allowed[job_locked(j)->stage][next]);
    job_locked(j)->stage = next;
    if (next == JOB_ANSWERED) {
        cv_broadcast(
            &j->changed); /* others are not waited for, and come in the stall */
    }
}

void
job_set_stage(struct job *j, enum job_stage next)
{
    LK_GUARD(&j->lock);

    job_set_stage_locked(j, next);
}

bool
job_is_abort_wanted(struct job *j)
{
    LK_GUARD(&j->lock);

    return job_locked(j)->wish == JOB_ABORT;
}

int
job_check(struct job *j, struct err *e)
{
    LK_GUARD(&j->lock);

    if (job_locked(j)->wish == JOB_ABORT) {
        return err_set(e, -ECANCELED, "aborted on request");
    }
    if (clock_now_ns() >= j->deadline_ns) {
        return err_set(e, -ETIMEDOUT, "the deadline of %" PRIu64 " ms has passed",
                       j->deadline_len_ns / NS_PER_MS);
    }
    return 0;
}

void
job_unref(struct job *j)
{
    bool is_last;

    lk_acquire(&j->lock);
    is_last = --job_locked(j)->refs == 0;
    lk_release(&j->lock);
    if (is_last) {
        json_decref(j->locked_.report);
        rpc_client_close(j->peer);
        cv_done(&j->changed);
        lk_done(&j->lock);
        free(j);
    }
}

int
job_claim_disks(struct job *j, struct err *e)
{
    const char *what = j->kind == JOB_PARK ? "parking" : "a handoff";

    for (unsigned i = 0; i < j->nr; i++) {
        int rc = disk_claim(j->disks[i], what, e);

        if (rc < 0) {
            while (i > 0) {
                disk_unclaim(j->disks[--i]);
            }
            return rc;
        }
    }
    return 0;
}

void
job_unclaim_disks(struct job *j)
{
    for (unsigned i = 0; i < j->nr; i++) {
        disk_unclaim(j->disks[i]);
    }
}

bool
job_back_off(struct job *j, uint64_t *wait_ns)
{
    uint64_t until_ns = clock_deadline_ns(*wait_ns);
    unsigned nr_asking =
        atomic_load_explicit(&j->service->handoffs->nr_asking, memory_order_relaxed);
    LK_GUARD(&j->lock);

    *wait_ns = clock_earlier(2 * *wait_ns, retry_max_ns(nr_asking));
    for (;;) {
        if (job_locked(j)->wish == JOB_ABANDON &&
            job_locked(j)->stage == JOB_COMMITTED) {
            job_set_stage_locked(j, JOB_ABANDONED);
            return false;
        }
        if (cv_wait_until(&j->changed, &j->lock, until_ns) == -ETIMEDOUT) {
            return true;
        }
    }
}

/* Disk i as PREPARE and every later call name it; what the next owner's record is made
 * of is the same in all of them, so that it can write it beforehand. */
static json_t *
disk_item(const struct job *j, unsigned i)
{
    const struct record *r = &j->next[i];

    return json_pack("{s:s,s:s,s:I,s:s,s:I,s:I,s:s,s:s,s:b,s:o}", "name", r->name,
                     "uuid", r->uuid, "epoch", (json_int_t)r->epoch, "right", r->right,
                     "forced_epoch", (json_int_t)r->forced_epoch, "taken_at",
                     (json_int_t)r->taken_at, "flushed_by", r->flushed_by, "device_id",
                     j->devices[i], "same_device", j->is_same_device[i], "info",
                     identity_info_to_json(&r->info));
}

json_t *
job_disk_list(const struct job *j)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < j->nr; i++) {
        (void)json_array_append_new(list, disk_item(j, i));
    }
    return list;
}

/* The rename will take about as long as this. */
int
job_draft(struct job *j, struct err *e)
{
    uint64_t began_ns = clock_now_ns();
    int rc = record_draft_new(j->service->records, j->next, j->nr, e, &j->draft);

    j->forecast.record_ns = clock_now_ns() - began_ns;
    return rc < 0 ? err_prefix(e, rc, "cannot write the record") : 0;
}
