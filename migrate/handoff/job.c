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
#include "log.h"
#include "trace.h"
#include "urgency.h"

struct handoff *
job_alloc(struct service *s, const struct handoff_request *rq)
{
    struct handoff *h = calloc(1, sizeof *h);

    if (h != NULL) {
        h->service = s;
        (void)snprintf(h->target, sizeof h->target, "%s", rq->target.text);
        h->kind = rq->kind;
        if (rq->kind != JOB_PARK) {
            (void)snprintf(h->to_text, sizeof h->to_text, "%s", rq->to);
        }
        h->deadline_len_ns = rq->deadline_ns;
        h->deadline_ns = CLOCK_NEVER; /* counts from HOLD on */
        h->locked_.peer_fd = -1;
        h->budget_ns = rq->budget_ns;
        lk_init(&h->lock);
        cv_init(&h->changed);
    }
    return h;
}

void
job_free(struct handoff *h)
{
    cv_done(&h->changed);
    lk_done(&h->lock);
    free(h);
}

void
job_ref(struct handoff *h)
{
    LK_GUARD(&h->lock);

    job_locked(h)->refs++;
}

/* Requests are held from HOLD until the queue is let go in REPLAY. A job that goes on
 * after a restart is one of many, which connect first. */
static void
hurry(const struct handoff *h, enum handoff_phase p)
{
    bool is_stall = p >= HANDOFF_HOLD && p <= HANDOFF_REPLAY && !job_is_resumed(h);

    (void)urgency_set(is_stall ? URGENCY_STALL : URGENCY_CONTROL);
}

void
job_set_phase(struct handoff *h, enum handoff_phase next)
{
    struct handoff_locked *l;
    uint64_t now_ns = clock_now_ns();

    hurry(h, next);
    LK_GUARD(&h->lock);
    l = job_locked(h);
    trace_state("handoff", h->target, handoff_phase_name(l->phase),
                handoff_phase_name(next));
    assert(handoff_phase_allows(l->phase, next));
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

void
job_set_stage_locked(struct handoff *h, enum job_stage next)
{
#define TO(s) [JOB_##s] = true
    static const bool allowed[JOB_NR_STAGES][JOB_NR_STAGES] = {
        [JOB_OPEN] = {TO(COMMITTING), TO(ROLLING_BACK)},
        [JOB_COMMITTING] = {TO(COMMITTED), TO(ROLLING_BACK)},
        [JOB_COMMITTED] = {TO(ANSWERED), TO(ABANDONED)},
    };
#undef TO

    assert(allowed[job_locked(h)->stage][next]);
    job_locked(h)->stage = next;
    cv_broadcast(&h->changed);
}

void
job_set_stage(struct handoff *h, enum job_stage next)
{
    LK_GUARD(&h->lock);

    job_set_stage_locked(h, next);
}

bool
job_is_abort_wanted(struct handoff *h)
{
    LK_GUARD(&h->lock);

    return job_locked(h)->wish == JOB_ABORT;
}

int
job_check(struct handoff *h, struct err *e)
{
    LK_GUARD(&h->lock);

    if (job_locked(h)->wish == JOB_ABORT) {
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

int
job_claim_disks(struct handoff *h, struct err *e)
{
    const char *what = h->kind == JOB_PARK ? "parking" : "a handoff";

    for (unsigned i = 0; i < h->nr; i++) {
        int rc = disk_claim(h->disks[i], what, e);

        if (rc < 0) {
            while (i > 0) {
                disk_unclaim(h->disks[--i]);
            }
            return rc;
        }
    }
    return 0;
}

void
job_unclaim_disks(struct handoff *h)
{
    for (unsigned i = 0; i < h->nr; i++) {
        disk_unclaim(h->disks[i]);
    }
}

bool
job_back_off(struct handoff *h, uint64_t *wait_ns)
{
    uint64_t until_ns = clock_deadline_ns(*wait_ns);
    unsigned nr_asking =
        atomic_load_explicit(&h->service->handoffs->nr_asking, memory_order_relaxed);
    LK_GUARD(&h->lock);

    *wait_ns = clock_earlier(2 * *wait_ns, retry_max_ns(nr_asking));
    for (;;) {
        if (job_locked(h)->wish == JOB_ABANDON &&
            job_locked(h)->stage == JOB_COMMITTED) {
            job_set_stage_locked(h, JOB_ABANDONED);
            return false;
        }
        if (cv_wait_until(&h->changed, &h->lock, until_ns) == -ETIMEDOUT) {
            return true;
        }
    }
}

/* Disk i as PREPARE and every later call name it; what the next owner's record is made
 * of is the same in all of them, so that it can write it beforehand. */
static json_t *
disk_item(const struct handoff *h, unsigned i)
{
    const struct record *r = &h->next[i];

    return json_pack("{s:s,s:s,s:I,s:s,s:I,s:I,s:s,s:s,s:b,s:o}", "name", r->name,
                     "uuid", r->uuid, "epoch", (json_int_t)r->epoch, "right", r->right,
                     "forced_epoch", (json_int_t)r->forced_epoch, "taken_at",
                     (json_int_t)r->taken_at, "flushed_by", r->flushed_by, "device_id",
                     h->devices[i], "same_device", h->is_same_device[i], "info",
                     identity_info_to_json(&r->info));
}

json_t *
job_disk_list(const struct handoff *h)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < h->nr; i++) {
        (void)json_array_append_new(list, disk_item(h, i));
    }
    return list;
}

/* The rename will take about as long as this. */
int
job_draft(struct handoff *h, struct err *e)
{
    uint64_t began_ns = clock_now_ns();
    int rc = record_draft_new(h->service->records, h->next, h->nr, e, &h->draft);

    h->forecast.record_ns = clock_now_ns() - began_ns;
    return rc < 0 ? err_prefix(e, rc, "writing the record") : 0;
}
