/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads take one target after the other; the caller waits, and tells what it sees. */
#include "handoff_all.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "disk.h"
#include "handoff.h"
#include "lock.h"
#include "log.h"
#include "urgency.h"

struct target {
    char name[NAME_MAX_LEN + 8]; /* "D" or "vm:VM" */
    unsigned nr_disks;
};

struct all {
    struct service *service;
    const struct handoff_all_request *rq;
    unsigned nr;
    struct target *targets; /* constant while threads run */
    struct lk lock;         /* leaf */
    struct cv changed;      /* a handoff or a thread has ended */
    struct all_locked {
        unsigned next, nr_threads;
        unsigned handed, stayed, disks;
        bool is_refused; /* one stayed that is not committed */
        const char *latest;
        json_t *handoffs, *staying;
    } locked_;
};

static struct all_locked *all_locked(struct all *a) LK_REQUIRES(a->lock);

static struct all_locked *
all_locked(struct all *a)
{
    return &a->locked_;
}

/* The target of a disk that is owned here, or of its VM; once for each VM. */
static void
add_target(struct all *a, struct disk *d)
{
    const bool has_vm = d->cfg->vm[0] != '\0';
    struct target t = {.nr_disks = 1};

    if (disk_record(d).role != ROLE_OWNER) {
        return;
    }
    (void)snprintf(t.name, sizeof t.name, "%s%s", has_vm ? "vm:" : "",
                   has_vm ? d->cfg->vm : d->cfg->name);
    for (unsigned i = 0; i < a->nr && has_vm; i++) {
        if (strcmp(a->targets[i].name, t.name) == 0) {
            a->targets[i].nr_disks++;
            return;
        }
    }
    a->targets[a->nr++] = t;
}

static json_t *
stay(const struct target *t, int rc, struct err *e)
{
    return json_pack("{s:s,s:s,s:s}", "target", t->name, "errno", strerrorname_np(-rc),
                     "reason", err_text(e, rc));
}

static void
hand_one(struct all *a, const struct target *t)
{
    const struct handoff_request rq = {.kind = JOB_HAND_OVER,
                                       .target = t->name,
                                       .to = a->rq->to,
                                       .deadline_ns = a->rq->deadline_ns,
                                       .budget_ns = a->rq->budget_ns};
    json_t *report = NULL;
    struct err e = {0};
    int rc = handoff_run(a->service, &rq, NULL, NULL, &e, &report);
    LK_GUARD(&a->lock);
    struct all_locked *l = all_locked(a);

    l->latest = t->name;
    if (rc == 0) {
        l->handed++;
        l->disks += t->nr_disks;
        (void)json_array_append_new(l->handoffs, report);
    } else {
        l->stayed++;
        l->is_refused = l->is_refused || rc != -EINPROGRESS;
        (void)json_array_append_new(l->staying, stay(t, rc, &e));
    }
    cv_broadcast(&a->changed);
}

static bool
is_over(const struct all *a)
{
    return a->rq->is_over != NULL && atomic_load(a->rq->is_over);
}

static void *
hand_some(void *arg)
{
    struct all *a = arg;

    (void)urgency_set(URGENCY_CONTROL);
    for (;;) {
        const struct target *t = NULL;

        lk_acquire(&a->lock);
        if (all_locked(a)->next < a->nr && !is_over(a)) {
            t = &a->targets[all_locked(a)->next++];
        } else {
            all_locked(a)->nr_threads--;
            cv_broadcast(&a->changed);
        }
        lk_release(&a->lock);
        if (t == NULL) {
            return NULL;
        }
        hand_one(a, t);
    }
}

/* As many as there can be; one is enough. */
static unsigned
start_threads(struct all *a, pthread_t *threads)
{
    unsigned wanted = a->rq->parallel < a->nr ? a->rq->parallel : a->nr, nr = 0;

    assert(wanted <= HANDOFF_ALL_MAX_PARALLEL);
    for (; nr < wanted; nr++) {
        lk_acquire(&a->lock);
        all_locked(a)->nr_threads++; /* before it can end */
        lk_release(&a->lock);
        if (pthread_create(&threads[nr], NULL, hand_some, a) != 0) {
            lk_acquire(&a->lock);
            all_locked(a)->nr_threads--;
            lk_release(&a->lock);
            break;
        }
    }
    return nr;
}

static void
watch(struct all *a, uint64_t began_ns, handoff_all_on_progress on_progress,
      void *opaque)
{
    struct all_locked now = {0};
    bool is_end = false;

    while (!is_end) {
        lk_acquire(&a->lock);
        while (all_locked(a)->nr_threads > 0 &&
               all_locked(a)->handed + all_locked(a)->stayed ==
                   now.handed + now.stayed) {
            (void)cv_wait_until(&a->changed, &a->lock, CLOCK_NEVER); /* no time-out */
        }
        now = *all_locked(a);
        lk_release(&a->lock);
        is_end = now.nr_threads == 0;
        if (on_progress != NULL) {
            const struct handoff_all_progress p = {
                .nr = a->nr,
                .handed = now.handed,
                .stayed = now.stayed,
                .latest = now.latest,
                .elapsed_us = (clock_now_ns() - began_ns) / NS_PER_US};

            on_progress(opaque, &p);
        }
    }
}

/* Those that nobody began any more. */
static void
tell_rest(struct all *a)
{
    struct err e = {0};
    LK_GUARD(&a->lock);

    for (unsigned i = all_locked(a)->next; i < a->nr; i++) {
        (void)err_set(&e, -ECANCELED, "it was not begun any more");
        (void)json_array_append_new(all_locked(a)->staying,
                                    stay(&a->targets[i], -ECANCELED, &e));
        all_locked(a)->stayed++;
        all_locked(a)->is_refused = true;
    }
}

static json_t *
make_report(struct all *a, uint64_t began_ns)
{
    LK_GUARD(&a->lock);
    struct all_locked *l = all_locked(a);

    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:o,s:o}", "target", HANDOFF_ALL_TARGET,
                     "from", a->service->cfg->name, "to", a->rq->to, "outcome",
                     l->stayed == 0  ? "done"
                     : l->is_refused ? "partly"
                                     : "committed",
                     "disks", (json_int_t)l->disks, "elapsed_us",
                     (json_int_t)((clock_now_ns() - began_ns) / NS_PER_US), "handoffs",
                     TAKE(l->handoffs), "stayed", TAKE(l->staying));
}

static int
run(struct all *a, handoff_all_on_progress on_progress, void *opaque, struct err *e,
    json_t **ret_report)
{
    uint64_t began_ns = clock_now_ns();
    pthread_t threads[HANDOFF_ALL_MAX_PARALLEL];
    unsigned nr_threads = start_threads(a, threads);

    if (nr_threads == 0 && a->nr > 0) {
        return err_set(e, -EAGAIN, "no thread for the handoffs");
    }
    watch(a, began_ns, on_progress, opaque);
    for (unsigned i = 0; i < nr_threads; i++) {
        (void)pthread_join(threads[i], NULL); /* it ends at once */
    }
    tell_rest(a);
    *ret_report = make_report(a, began_ns);
    return *ret_report != NULL ? 0 : err_set(e, -ENOMEM, "out of memory");
}

int
handoff_all(struct service *s, const struct handoff_all_request *rq,
            handoff_all_on_progress on_progress, void *opaque, struct err *e,
            json_t **ret_report)
{
    AUTO_FREE struct target *targets = calloc(s->nr_disks + 1, sizeof *targets);
    struct all a = {.service = s, .rq = rq, .targets = targets};
    int rc;

    if (targets == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    for (unsigned i = 0; i < s->nr_disks; i++) {
        add_target(&a, &s->disks[i]);
    }
    lk_init(&a.lock);
    cv_init(&a.changed);
    a.locked_.latest = "";
    a.locked_.handoffs = json_array();
    a.locked_.staying = json_array();
    rc = run(&a, on_progress, opaque, e, ret_report);
    json_decref(a.locked_.handoffs);
    json_decref(a.locked_.staying);
    cv_done(&a.changed);
    lk_done(&a.lock);
    return rc;
}

void
handoff_all_abort(struct service *s)
{
    for (unsigned i = 0; i < s->nr_disks; i++) {
        const struct disk_config *c = s->disks[i].cfg;
        char target[NAME_MAX_LEN + 8];
        struct err ignored = {0}; /* there is none, or it is committed: as good */

        (void)snprintf(target, sizeof target, "vm:%s", c->vm);
        if (c->vm[0] != '\0') {
            (void)handoff_ask_abort(s, target, &ignored);
        }
        (void)handoff_ask_abort(s, c->name, &ignored);
    }
}
