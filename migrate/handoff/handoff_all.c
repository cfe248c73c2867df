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
#include "urgency.h"

struct part {
    struct target target; /* a disk, or a VM */
    unsigned nr_disks;
};

struct all {
    struct service *service;
    const struct handoff_all_request *rq;
    unsigned nr;
    struct part *parts; /* constant while threads run */
    struct lk lock;     /* leaf */
    struct cv changed;  /* a handoff or a thread has ended */
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

/* A disk that is owned here, or its VM; once for each VM. */
static void
add_part(struct all *a, struct disk *d)
{
    const struct disk_config *c = d->cfg;

    if (disk_record(d).role != ROLE_OWNER) {
        return;
    }
    for (unsigned i = 0; i < a->nr && c->vm[0] != '\0'; i++) {
        if (target_has(&a->parts[i].target, c->vm, c->name)) {
            a->parts[i].nr_disks++;
            return;
        }
    }
    a->parts[a->nr++] =
        (struct part){.target = target_of(c->vm, c->name), .nr_disks = 1};
}

static json_t *
stay(const struct part *p, int rc, struct err *e)
{
    return json_pack("{s:s,s:s,s:s}", "target", p->target.text, "errno",
                     strerrorname_np(-rc), "reason", err_text(e, rc));
}

static void
hand_one(struct all *a, const struct part *p)
{
    const struct handoff_request rq = {.kind = JOB_HAND_OVER,
                                       .target = p->target,
                                       .to = a->rq->to,
                                       .deadline_ns = a->rq->deadline_ns,
                                       .budget_ns = a->rq->budget_ns};
    json_t *report = NULL;
    struct err e = {0};
    int rc = handoff_run(a->service, &rq, NULL, NULL, &e, &report);
    LK_GUARD(&a->lock);
    struct all_locked *l = all_locked(a);

    l->latest = p->target.text;
    if (rc == 0) {
        l->handed++;
        l->disks += p->nr_disks;
        (void)json_array_append_new(l->handoffs, report);
    } else {
        l->stayed++;
        l->is_refused = l->is_refused || rc != -EINPROGRESS;
        (void)json_array_append_new(l->staying, stay(p, rc, &e));
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
        const struct part *p = NULL;

        lk_acquire(&a->lock);
        if (all_locked(a)->next < a->nr && !is_over(a)) {
            p = &a->parts[all_locked(a)->next++];
        } else {
            all_locked(a)->nr_threads--;
            cv_broadcast(&a->changed);
        }
        lk_release(&a->lock);
        if (p == NULL) {
            return NULL;
        }
        hand_one(a, p);
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
        (void)err_set(&e, -ECANCELED,
                      "its handoff had not begun when handing over was ended");
        (void)json_array_append_new(all_locked(a)->staying,
                                    stay(&a->parts[i], -ECANCELED, &e));
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
    AUTO_FREE struct part *parts = calloc(s->nr_disks + 1, sizeof *parts);
    struct all a = {.service = s, .rq = rq, .parts = parts};
    int rc;

    if (parts == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    for (unsigned i = 0; i < s->nr_disks; i++) {
        add_part(&a, &s->disks[i]);
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
        const struct target alone = target_of("", c->name);
        const struct target all_of_vm = target_of(c->vm, c->name);
        struct err ignored = {0}; /* there is none, or it is committed: as good */

        if (all_of_vm.kind == TARGET_VM) {
            (void)handoff_ask_abort(s, &all_of_vm, &ignored);
        }
        (void)handoff_ask_abort(s, &alone, &ignored);
    }
}
