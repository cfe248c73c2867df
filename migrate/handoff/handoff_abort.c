/* SPDX-License-Identifier: BSD-3-Clause */
/* Stopping a handoff before its commit, and what one is at just now. Whoever aborts
 * waits until it has ended: before, nobody can say that nothing will change. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "handoff_table.h"

#define PATIENCE_NS (10 * NS_PER_S) /* of who aborts */
#define TELL_AGAIN_NS NS_PER_S

/* Want j aborted; the table's lock is held. A question to the next owner is broken off,
 * so that nobody waits for its answer. */
static int
want_abort_locked(struct job *j, struct err *e)
{
    LK_GUARD(&j->lock);
    struct job_locked *l = job_locked(j);

    if (l->stage != JOB_OPEN && l->stage != JOB_ROLLING_BACK) {
        return err_set(e, -EALREADY,
                       "the handoff of %s is committed already and cannot be aborted",
                       j->target);
    }
    if (l->stage == JOB_OPEN && l->wish != JOB_ABORT && l->peer_fd >= 0) {
        (void)shutdown(l->peer_fd, SHUT_RDWR); /* it may be gone */
    }
    l->wish = JOB_ABORT;
    cv_broadcast(&j->changed);
    return 0;
}

static int
ask(struct service *s, const struct target *target, struct err *e, struct job **ret_h)
{
    struct handoff_table *t = s->handoffs;
    struct job *j;
    int rc;
    LK_GUARD(&t->lock);

    j = handoff_table_find_locked(t, target);
    if (j == NULL) {
        return err_set(e, -ENOENT, "no handoff of %s is going on", target->text);
    }
    rc = want_abort_locked(j, e);
    if (rc < 0) {
        return rc;
    }
    cv_broadcast(&t->turn);
    for (unsigned i = 0; i < j->nr; i++) {
        redir_cancel_drain(j->disks[i]->redir);
    }
    if (ret_h != NULL) {
        job_ref(j);
        *ret_h = j;
    }
    return 0;
}

int
handoff_ask_abort(struct service *s, const struct target *target, struct err *e)
{
    return ask(s, target, e, NULL);
}

/* Until it has ended, or it is time to say the same again. */
static struct job_locked
await_end(struct job *j, uint64_t until_ns)
{
    LK_GUARD(&j->lock);

    while (!job_locked(j)->is_finished &&
           cv_wait_until(&j->changed, &j->lock, until_ns) != -ETIMEDOUT) {
    }
    return *job_locked(j);
}

int
handoff_abort(struct service *s, const struct target *target,
              handoff_on_progress on_progress, void *opaque, struct err *e)
{
    const uint64_t patience_ns = clock_deadline_ns(PATIENCE_NS);
    struct job *j = NULL;
    struct job_locked now;
    int rc = ask(s, target, e, &j);

    if (rc < 0) {
        return rc;
    }
    for (;;) {
        char detail[sizeof now.detail + 32];

        now =
            await_end(j, clock_earlier(patience_ns, clock_deadline_ns(TELL_AGAIN_NS)));
        if (now.is_finished || clock_now_ns() >= patience_ns) {
            break;
        }
        (void)snprintf(detail, sizeof detail, "being aborted: %s", now.detail);
        if (on_progress != NULL) {
            on_progress(opaque, now.phase, detail,
                        (clock_now_ns() - j->started_ns) / NS_PER_US);
        }
    }
    if (!now.is_finished) {
        rc = err_set(e, -EBUSY,
                     "the handoff of %s is being aborted and has not ended yet (%s: "
                     "%s); it ends as soon as that does, and nothing will have "
                     "changed; see baton status",
                     target->text, handoff_phase_name(now.phase),
                     now.detail[0] != '\0' ? now.detail : "no news");
    } else if (now.rc == 0) { /* a bug: an abort that was accepted ends it */
        rc = err_set(e, -EALREADY,
                     "the handoff of %s was done before it could be aborted",
                     target->text);
    }
    job_unref(j);
    return rc;
}

bool
handoff_now_of(struct service *s, const struct disk *d, struct handoff_now *ret_now)
{
    struct job *j;
    LK_GUARD(&s->handoffs->lock);

    j = handoff_table_of_disk_locked(s->handoffs, d);
    if (j == NULL) {
        return false;
    }
    lk_acquire(&j->lock);
    *ret_now = (struct handoff_now){
        .phase = job_locked(j)->phase,
        .phase_us = (clock_now_ns() - job_locked(j)->phase_began_ns) / NS_PER_US,
        .is_abort_wanted = job_locked(j)->wish == JOB_ABORT};
    (void)snprintf(ret_now->detail, sizeof ret_now->detail, "%s",
                   job_locked(j)->detail);
    lk_release(&j->lock);
    return true;
}
