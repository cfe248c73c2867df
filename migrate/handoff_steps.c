/* SPDX-License-Identifier: BSD-3-Clause */
/* HOLD to REPLAY, and the two ways back. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "breakpoint.h"
#include "cleanup.h"
#include "clock.h"
#include "follow.h"
#include "handoff_job.h"
#include "log.h"
#include "port_channel.h"

#define LOOK_AGAIN_NS (200 * NS_PER_MS) /* while a drain or flush is slow */
#define ASSIGN_TIMEOUT_NS (30 * NS_PER_S)
#define REPLAY_REPORT_NS (5 * NS_PER_S)
#define RETRY_MAX_NS NS_PER_S

static uint64_t
earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

int
job_hold(struct handoff *h, struct err *e)
{
    h->held_at_ns = clock_now_ns();
    h->deadline_ns = clock_deadline_ns(h->deadline_len_ns);
    for (unsigned i = 0; i < h->nr; i++) {
        int rc = redir_hold(h->disks[i]->redir);

        if (rc < 0) {
            return err_set(e, rc, "%s cannot be held now", h->disks[i]->cfg->name);
        }
    }
    return BREAKPOINT("owner-held") < 0 ? -EIO : job_check(h, e);
}

static int
drain_one(struct handoff *h, struct disk *d, struct err *e)
{
    struct redir_status st;

    for (;;) {
        int rc = redir_drain(d->redir,
                             earlier(h->deadline_ns, clock_deadline_ns(LOOK_AGAIN_NS)));

        if (rc != -ETIMEDOUT) {
            return rc == 0 ? 0
                           : err_set(e, rc, "%s: drain: %s", d->cfg->name,
                                     err_text(NULL, rc));
        }
        redir_status(d->redir, &st);
        job_detail(h, "%s: %" PRIu64 " requests have not ended at %s", d->cfg->name,
                   st.in_flight, d->cfg->device);
        rc = job_check(h, e);
        if (rc < 0) {
            return err_prefix(e, rc, "%s: %" PRIu64 " requests have not ended at %s",
                              d->cfg->name, st.in_flight, d->cfg->device);
        }
    }
}

int
job_drain(struct handoff *h, struct err *e)
{
    for (unsigned i = 0; i < h->nr; i++) {
        int rc = drain_one(h, h->disks[i], e);

        if (rc < 0) {
            return rc;
        }
    }
    return BREAKPOINT("owner-drained") < 0 ? -EIO : job_check(h, e);
}

static int
await_flush(struct handoff *h, struct disk *d, struct err *e)
{
    for (;;) {
        int rc = flusher_wait(
            &d->flusher, earlier(h->deadline_ns, clock_deadline_ns(LOOK_AGAIN_NS)));

        if (rc == 0) {
            return 0;
        }
        if (rc != -ETIMEDOUT) {
            return err_set(e, rc, "%s: flush of %s: %s", d->cfg->name, d->cfg->device,
                           err_text(NULL, rc));
        }
        job_detail(h, "%s: %s has not flushed", d->cfg->name, d->cfg->device);
        rc = job_check(h, e);
        if (rc < 0) {
            return err_prefix(e, rc, "%s: %s has not flushed", d->cfg->name,
                              d->cfg->device);
        }
    }
}

int
job_flush(struct handoff *h, struct err *e)
{
    for (unsigned i = 0; i < h->nr; i++) {
        struct disk *d = h->disks[i];
        int rc = flusher_start(&d->flusher, redir_active(d->redir), h->deadline_ns);

        if (rc < 0) {
            return err_set(e, rc, "%s: an earlier flush of %s has not ended",
                           d->cfg->name, d->cfg->device);
        }
    }
    for (unsigned i = 0; i < h->nr; i++) {
        int rc = await_flush(h, h->disks[i], e);

        if (rc < 0) {
            return rc;
        }
    }
    return BREAKPOINT("owner-flushed") < 0 ? -EIO : job_check(h, e);
}

/* From here on nobody is told that the handoff is aborted, unless it is. */
static int
begin_commit(struct handoff *h, struct err *e)
{
    LK_GUARD(&h->lock);

    if (job_locked(h)->is_abort_wanted) {
        return err_set(e, -ECANCELED, "aborted on request");
    }
    job_locked(h)->is_committing = true;
    return 0;
}

/* The record says "given" to whoever reads it, but a power cut may take that back.
 * Until it cannot, the next owner must not be told, and the device stays ours. */
static void
make_durable(struct handoff *h, struct err *e)
{
    uint64_t wait_ns = 10 * NS_PER_MS;
    bool is_committed;
    int rc = -EIO;

    while (rc < 0) {
        uint64_t until_ns = clock_deadline_ns(wait_ns);

        log_warn("%s: the record is written but not durable: %s: trying again",
                 h->target, e->msg);
        lk_acquire(&h->lock);
        while (cv_wait_until(&h->changed, &h->lock, until_ns) != -ETIMEDOUT) {
        }
        lk_release(&h->lock);
        wait_ns = earlier(2 * wait_ns, RETRY_MAX_NS);
        rc = record_commit(h->service->records, h->next, h->nr, e, &is_committed);
    }
}

int
job_eject(struct handoff *h, struct err *e)
{
    bool is_committed = false;
    int rc;

    for (unsigned i = 0; i < h->nr; i++) {
        rc = redir_check_ledger(h->disks[i]->redir, e);
        if (rc < 0) {
            return rc;
        }
    }
    rc = begin_commit(h, e);
    if (rc < 0) {
        return rc;
    }
    rc = BREAKPOINT("owner-committing");
    if (rc < 0) {
        return rc;
    }
    rc = record_draft_commit(h->service->records, TAKE(h->draft), e, &is_committed);
    if (rc < 0 && !is_committed) {
        return err_prefix(e, rc, "writing the record");
    }
    lk_acquire(&h->lock);
    job_locked(h)->committed_ns = clock_now_ns();
    lk_release(&h->lock);
    if (rc < 0) {
        make_durable(h, e);
    }
    (void)BREAKPOINT("owner-committed");
    for (unsigned i = 0; i < h->nr; i++) {
        disk_set_record(h->disks[i], &h->next[i]);
        disk_eject(h->disks[i]);
        (void)BREAKPOINT("owner-ejected-one");
    }
    (void)BREAKPOINT("owner-ejected");
    return 0;
}

/* Wait for a while, or until the process ends anyway. Only an abandonment wakes it
 * earlier: then false. */
static bool
back_off(struct handoff *h, uint64_t *wait_ns)
{
    uint64_t until_ns = clock_deadline_ns(*wait_ns);
    LK_GUARD(&h->lock);

    *wait_ns = earlier(2 * *wait_ns, RETRY_MAX_NS);
    for (;;) {
        if (job_locked(h)->is_abandon_wanted && !job_locked(h)->is_answered) {
            job_locked(h)->is_abandoned = true;
            return false;
        }
        if (cv_wait_until(&h->changed, &h->lock, until_ns) == -ETIMEDOUT) {
            return true;
        }
    }
}

static void
set_answered(struct handoff *h)
{
    LK_GUARD(&h->lock);

    job_locked(h)->is_answered = true;
    cv_broadcast(&h->changed);
}

/* What peer.assign says: 0, or -EREMOTEIO for a refusal. */
static int
read_answer(struct handoff *h, json_t *result, struct err *e)
{
    bool is_assigned = json_is_true(json_object_get(result, "assigned"));
    const char *reason = json_string_value(json_object_get(result, "reason"));

    if (!is_assigned) {
        (void)err_set(e, -EREMOTEIO, "%s refuses: %s", h->next[0].peer_name,
                      reason != NULL ? reason : "no reason given");
    }
    json_decref(result);
    return is_assigned ? 0 : -EREMOTEIO;
}

static json_t *
assign_params(struct handoff *h)
{
    char boot_id[37];

    identity_boot_id(boot_id);
    return json_pack("{s:s,s:s,s:s,s:o}", "from", h->service->cfg->name, "from_control",
                     h->service->cfg->has_control ? h->service->cfg->control.text : "",
                     "boot_id", boot_id, "disks", job_disk_list(h));
}

/* The next owner does not answer. When others own the disks, at later epochs, it did
 * own them and gave them on. */
static bool
has_moved_on(struct handoff *h)
{
    bool is_each = true;

    for (unsigned i = 0; i < h->nr && is_each; i++) {
        is_each = follow_claimed(h->disks[i], h->next[i].epoch);
    }
    for (unsigned i = 0; i < h->nr && is_each; i++) {
        h->next[i] = disk_record(h->disks[i]);
    }
    return is_each;
}

/* The channels are in place; the new owner may give the disks on, and they follow it.
 */
static void
share_claims(struct handoff *h)
{
    for (unsigned i = 0; i < h->nr; i++) {
        disk_share_claim(h->disks[i]);
    }
}

static void
end_sharing(struct handoff *h)
{
    for (unsigned i = 0; i < h->nr; i++) {
        disk_end_sharing(h->disks[i]);
    }
}

int
job_assign(struct handoff *h, struct err *e)
{
    uint64_t wait_ns = 10 * NS_PER_MS;
    bool is_told = false;

    for (;;) {
        json_t *result = NULL;
        int code = 0;
        int rc;

        (void)BREAKPOINT("owner-assigning");
        rc = job_call(h, "peer.assign", assign_params(h), ASSIGN_TIMEOUT_NS, e, &code,
                      &result);

        if (rc == 0) {
            (void)BREAKPOINT("owner-told");
            set_answered(h);
            return read_answer(h, result, e);
        }
        job_detail(h, "%s does not answer: %s", h->next[0].peer_name, err_text(e, rc));
        if (!is_told) {
            log_warn("%s was given to %s at epoch %" PRIu64 ", which does not answer "
                     "(%s): requests are held and we go on asking",
                     h->target, h->next[0].peer_name, h->next[0].epoch,
                     err_text(e, rc));
            is_told = true;
        }
        if (wait_ns == RETRY_MAX_NS && has_moved_on(h)) {
            return 0;
        }
        if (!back_off(h, &wait_ns)) {
            return err_set(e, -ECANCELED, "abandoned");
        }
        (void)BREAKPOINT("owner-asks-again");
    }
}

void
job_follow(struct handoff *h)
{
    for (unsigned i = 0; i < h->nr && !h->has_followed; i++) {
        disk_follow(h->disks[i], h->channels[i]);
        h->channels[i] = NULL;
        (void)BREAKPOINT("owner-following");
    }
    h->has_followed = true;
}

static void
begin_replay(struct handoff *h)
{
    job_set_phase(h, HANDOFF_REPLAY);
    share_claims(h);
    job_follow(h);
    h->opened_at_ns = clock_now_ns();
}

void
job_hear(void *job, const char *method, json_t *params)
{
    struct handoff *h = job;

    (void)params;
    if (strcmp(method, "assigned") == 0 && !h->has_followed) {
        begin_replay(h);
    }
}

void
job_replay(struct handoff *h)
{
    uint64_t deadline_ns = clock_deadline_ns(REPLAY_REPORT_NS);

    if (!h->has_followed || h->is_resumed) {
        begin_replay(h);
    } else {
        share_claims(h);
    }
    for (unsigned i = 0; i < h->nr; i++) {
        (void)redir_wait_open(h->disks[i]->redir, deadline_ns); /* else status tells */
    }
    end_sharing(h);
    (void)BREAKPOINT("owner-replayed");
}

static void
forget_at_peer(struct handoff *h)
{
    struct err ignored = {0};
    json_t *result = NULL;
    int code = 0;

    if (h->peer != NULL) { /* else it never heard of it */
        (void)BREAKPOINT("owner-cancelling");
        (void)job_call(h, "peer.cancel",
                       json_pack("{s:s,s:o}", "from", h->service->cfg->name, "disks",
                                 job_disk_list(h)),
                       NS_PER_S, &ignored, &code,
                       &result); /* what it keeps is not owned and harms nobody */
        json_decref(result);
    }
}

void
job_roll_back(struct handoff *h)
{
    (void)BREAKPOINT("owner-aborting");
    for (unsigned i = 0; i < h->nr; i++) {
        struct redir_status st;

        redir_status(h->disks[i]->redir, &st);
        if (st.state == REDIR_HOLDING || st.state == REDIR_QUIESCED) {
            int rc = redir_release(h->disks[i]->redir);

            assert(rc == 0); /* port A is still in its place before the commit */
        }
    }
    h->opened_at_ns = clock_now_ns();
    forget_at_peer(h);
    record_draft_drop(h->service->records, TAKE(h->draft));
    for (unsigned i = 0; i < h->nr; i++) {
        port_close(h->channels[i]);
        h->channels[i] = NULL;
    }
}

static int
reopen_all(struct handoff *h, struct port **ports, struct err *e)
{
    int rc = 0;

    for (unsigned i = 0; i < h->nr && rc == 0; i++) {
        struct disk *d = h->disks[i];

        if (ports[i] != NULL) {
            continue; /* from an earlier try */
        }
        rc = disk_open_device(d, e, &ports[i]);
        if (rc < 0) {
            break;
        }
        rc = disk_can_take(d, ports[i], e);
        if (rc == 0) {
            rc = port_own(ports[i], e);
        }
        if (rc < 0) {
            (void)err_prefix(e, rc, "disk %s", d->cfg->name);
            port_close(ports[i]);
            ports[i] = NULL;
        }
    }
    return rc;
}

void
job_take_back(struct handoff *h)
{
    struct port *ports[GROUP_MAX_DISKS] = {NULL};
    struct record mine[GROUP_MAX_DISKS] = {0};
    uint64_t wait_ns = 10 * NS_PER_MS;

    for (unsigned i = 0; i < h->nr; i++) {
        mine[i] = disk_next_record(h->disks[i], ROLE_OWNER, h->next[i].epoch + 1);
    }
    (void)BREAKPOINT("owner-refused");
    for (;;) {
        struct err e = {0};
        bool is_committed = false;
        int rc = reopen_all(h, ports, &e);

        if (rc == 0) {
            rc = BREAKPOINT("owner-relocked");
        }
        if (rc == 0) {
            rc = record_commit(h->service->records, mine, h->nr, &e, &is_committed);
        }
        if (rc == 0 || is_committed) {
            break;
        }
        job_detail(h, "taking it back: %s", err_text(&e, rc));
        log_warn(
            "%s: refused by %s and not ours yet: %s: requests are held, trying again",
            h->target, h->next[0].peer_name, err_text(&e, rc));
        (void)back_off(h, &wait_ns); /* it was answered: nobody can abandon it */
    }
    (void)BREAKPOINT("owner-retaken");
    for (unsigned i = 0; i < h->nr; i++) {
        struct disk *d = h->disks[i];

        disk_set_record(d, &mine[i]);
        /* Nobody else owned it meanwhile: channels of the epochs before go on. */
        disk_assign(d, ports[i]);
        port_close(h->channels[i]);
        h->channels[i] = NULL;
    }
    h->opened_at_ns = clock_now_ns();
}
