/* SPDX-License-Identifier: BSD-3-Clause */
/* HOLD to the commit, and the way back before it. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "breakpoint.h"
#include "cleanup.h"
#include "clock.h"
#include "disk_ownership.h"
#include "job_call.h"
#include "job_flush.h"
#include "log.h"
#include "step.h"
#include "step_parked.h"

/* It waits for much less; nobody can abort meanwhile, and our own clients go on. */
#define PAUSE_TIMEOUT_NS (5 * NS_PER_S)
#define LOOK_AGAIN_NS (200 * NS_PER_MS) /* while a drain or flush is slow */

/* Have the next owner hold its clients first. An error: it has gone. */
static int
pause_peer(struct job *j, struct err *e)
{
    struct job_question q = {.method = "peer.pause",
                             .timeout_ns =
                                 clock_earlier(j->deadline_len_ns, PAUSE_TIMEOUT_NS)};
    json_t *answer = NULL;
    int code = 0, rc, given_up;

    (void)BREAKPOINT("owner-pausing");
    q.params = json_pack("{s:s,s:I,s:o}", "from", j->service->cfg->name, "for_ms",
                         (json_int_t)(j->deadline_len_ns / NS_PER_MS), "disks",
                         job_disk_list(j));
    rc = job_call_asked(j, &q, e, &code, &answer);
    j->peer_drain_ns = job_call_us(answer, "drain_us");
    json_decref(answer);
    if (rc == 0 || code != 0) {
        return 0; /* who refuses it can do without */
    }
    given_up = job_check(j, e); /* meanwhile, and that is why */
    return given_up < 0 ? given_up : rc;
}

int
step_hold(struct job *j, struct err *e)
{
    j->held_at_ns = clock_now_ns();
    j->deadline_ns = clock_deadline_ns(j->deadline_len_ns);
    if (j->wants_pause) {
        int rc = pause_peer(j, e);

        if (rc < 0) {
            return rc;
        }
    }
    for (unsigned i = 0; i < j->nr; i++) {
        int rc = redir_hold(j->disks[i]->redir);

        if (rc < 0) {
            return err_set(e, rc, "requests of %s cannot be held now",
                           j->disks[i]->cfg->name);
        }
    }
    return BREAKPOINT("owner-held") < 0 ? -EIO : job_check(j, e);
}

static int
drain_one(struct job *j, struct disk *d, struct err *e)
{
    struct redir_status st;

    for (;;) {
        int rc = redir_drain(
            d->redir, clock_earlier(j->deadline_ns, clock_deadline_ns(LOOK_AGAIN_NS)));

        if (rc != -ETIMEDOUT) {
            return rc == 0 ? 0
                           : err_set(e, rc, "%s: the drain failed: %s", d->cfg->name,
                                     err_text(NULL, rc));
        }
        redir_status(d->redir, &st);
        job_detail(j, "%s: %" PRIu64 " requests have not ended at %s", d->cfg->name,
                   st.in_flight, d->cfg->device);
        rc = job_check(j, e);
        if (rc < 0) {
            return err_prefix(e, rc, "%s: %" PRIu64 " requests have not ended at %s",
                              d->cfg->name, st.in_flight, d->cfg->device);
        }
    }
}

int
step_drain(struct job *j, struct err *e)
{
    for (unsigned i = 0; i < j->nr; i++) {
        int rc = drain_one(j, j->disks[i], e);

        if (rc < 0) {
            return rc;
        }
    }
    return BREAKPOINT("owner-drained") < 0 ? -EIO : job_check(j, e);
}

static int
await_flush(struct job *j, struct disk *d, struct err *e)
{
    for (;;) {
        int rc =
            flusher_wait(&d->flusher, clock_earlier(j->deadline_ns,
                                                    clock_deadline_ns(LOOK_AGAIN_NS)));

        if (rc == 0) {
            return 0;
        }
        if (rc != -ETIMEDOUT) {
            return err_set(e, rc, "%s: the flush of %s failed: %s", d->cfg->name,
                           d->cfg->device, err_text(NULL, rc));
        }
        job_detail(j, "%s: %s has not flushed", d->cfg->name, d->cfg->device);
        rc = job_check(j, e);
        if (rc < 0) {
            return err_prefix(e, rc, "%s: %s has not flushed", d->cfg->name,
                              d->cfg->device);
        }
    }
}

static int
flush_all(struct job *j, struct err *e)
{
    int rc = job_flush_start(j, URGENCY_STALL, j->deadline_ns, e);

    if (rc < 0) {
        return rc;
    }
    for (unsigned i = 0; i < j->nr; i++) {
        rc = await_flush(j, j->disks[i], e);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int
step_flush(struct job *j, struct err *e)
{
    int rc = j->shares_cache ? 0 : flush_all(j, e);

    if (rc < 0) {
        return rc;
    }
    return BREAKPOINT("owner-flushed") < 0 ? -EIO : job_check(j, e);
}

/* It was there in PREPARE. Whoever is gone now could not be told what is committed, and
 * requests would be held until it is back. */
static int
look_for_peer(struct job *j, struct err *e)
{
    struct pollfd p = {.events = POLLRDHUP};

    if (j->peer == NULL) { /* a park */
        return 0;
    }
    p.fd = rpc_client_fd(j->peer);
    if (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
        return err_set(e, -ECONNRESET, "%s answered before and is gone now",
                       j->next[0].peer_name);
    }
    return 0;
}

/* From here on nobody is told that the handoff is aborted, unless it is. */
static int
begin_commit(struct job *j, struct err *e)
{
    LK_GUARD(&j->lock);

    if (job_locked(j)->wish == JOB_ABORT) {
        return err_set(e, -ECANCELED, "aborted on request");
    }
    job_set_stage_locked(j, JOB_COMMITTING);
    return 0;
}

/* The record says "given" to whoever reads it, but a power cut may take that back.
 * Until it cannot, the next owner must not be told, and the device stays ours. */
static void
make_durable(struct job *j, struct err *e)
{
    uint64_t wait_ns = 10 * NS_PER_MS;
    bool is_committed;
    int rc = -EIO;

    while (rc < 0) {
        uint64_t until_ns = clock_deadline_ns(wait_ns);

        log_warn("%s: the record is written but not durable: %s; trying again",
                 j->target, e->msg);
        lk_acquire(&j->lock);
        while (cv_wait_until(&j->changed, &j->lock, until_ns) != -ETIMEDOUT) {
        }
        lk_release(&j->lock);
        wait_ns = clock_earlier(2 * wait_ns, JOB_RETRY_MAX_NS);
        rc = record_commit(j->service->records, j->next, j->nr, e, &is_committed);
    }
}

int
step_eject(struct job *j, struct err *e)
{
    bool is_committed = false;
    int rc;

    for (unsigned i = 0; i < j->nr; i++) {
        rc = redir_check_ledger(j->disks[i]->redir, e);
        if (rc < 0) {
            return rc;
        }
    }
    rc = look_for_peer(j, e);
    if (rc == 0 && j->kind == JOB_PARK) { /* in the room of PREPARE's */
        record_draft_drop(j->service->records, TAKE(j->draft));
        step_parked_remember(j);
        rc = job_draft(j, e);
    }
    if (rc == 0) {
        rc = begin_commit(j, e);
    }
    if (rc < 0) {
        return rc;
    }
    rc = BREAKPOINT("owner-committing");
    if (rc < 0) {
        return rc;
    }
    rc = record_draft_commit(j->service->records, TAKE(j->draft), e, &is_committed);
    if (rc < 0 && !is_committed) {
        return err_prefix(e, rc, "cannot write the record");
    }
    lk_acquire(&j->lock);
    job_locked(j)->committed_ns = clock_now_ns();
    job_set_stage_locked(j, JOB_COMMITTED);
    lk_release(&j->lock);
    if (rc < 0) {
        make_durable(j, e);
    }
    (void)BREAKPOINT("owner-committed");
    for (unsigned i = 0; i < j->nr; i++) {
        disk_set_record(j->disks[i], &j->next[i]);
        if (!job_is_of_parked(j)) {
            disk_eject(j->disks[i]);
        }
        (void)BREAKPOINT("owner-ejected-one");
    }
    (void)BREAKPOINT("owner-ejected");
    return 0;
}

static void
forget_at_peer(struct job *j)
{
    struct job_question q = {.method = "peer.cancel", .timeout_ns = NS_PER_S};
    struct err ignored = {0}; /* what it keeps is not owned and harms nobody */
    json_t *result = NULL;
    int code = 0;

    if (j->peer == NULL || j->next[0].epoch == 0) {
        return; /* it never heard of it */
    }
    (void)BREAKPOINT("owner-cancelling");
    q.params = json_pack("{s:s,s:o}", "from", j->service->cfg->name, "disks",
                         job_disk_list(j));
    (void)job_call(j, &q, &ignored, &code, &result);
    json_decref(result);
}

void
step_roll_back(struct job *j)
{
    (void)BREAKPOINT("owner-aborting");
    job_set_stage(j, JOB_ROLLING_BACK);
    for (unsigned i = 0; i < j->nr; i++) {
        struct redir_status st;

        redir_status(j->disks[i]->redir, &st);
        if (!job_is_of_parked(j) &&
            (st.state == REDIR_HOLDING || st.state == REDIR_QUIESCED)) {
            int rc = redir_release(j->disks[i]->redir);

            assert(rc == 0); /* port A is still in its place before the commit */
        }
    }
    j->opened_at_ns = clock_now_ns();
    forget_at_peer(j);
    record_draft_drop(j->service->records, TAKE(j->draft));
    for (unsigned i = 0; i < j->nr; i++) {
        port_close(j->channels[i]);
        j->channels[i] = NULL;
    }
}
