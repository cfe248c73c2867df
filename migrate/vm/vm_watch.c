/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_watch.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "handoff.h"
#include "log.h"
#include "service.h"
#include "vm_place.h"
#include "vm_restart.h"

#define MAX_THREADS 8 /* one may wait for seconds, for a service or a handoff */
#define FIRST_WAIT_NS (50 * NS_PER_MS) /* doubles, up to: */
#define MAX_WAIT_NS NS_PER_S           /* while it is new */
#define SLOW_WAIT_NS (60 * NS_PER_S)
#define NEW_NS (60 * NS_PER_S)         /* then it is said that it lasts */
#define LAST_NS (24 * 3600 * NS_PER_S) /* then the disks stay */
#define OPEN_NS (3 * NS_PER_S)         /* a QEMU that waits in vain has ended by then */
#define HANDOFF_DEADLINE_NS (5 * NS_PER_S)

enum outcome {
    AGAIN, /* look later */
    HERE,  /* it is here, or nowhere, or may still come: it stays announced */
    GONE   /* nobody is announced any more */
};

struct vm_watches {
    struct lk lock; /* leaf */
    struct cv changed;
    struct vm_watches_locked {
        TAILQ_HEAD(, vm_watch) waiting;
        unsigned nr_threads, nr; /* threads; watches, waiting or at work */
    } locked_;
};

static struct vm_watches_locked *watches_locked(struct vm_watches *q)
    LK_REQUIRES(q->lock);

static struct vm_watches_locked *
watches_locked(struct vm_watches *q)
{
    return &q->locked_;
}

static bool
is_ours(const struct vm_watch *w, unsigned i)
{
    struct disk *d = w->disks[i].disk;

    return disk_record(d).role == ROLE_OWNER &&
           vm_presence_look(&d->presence).generation == w->disks[i].generation;
}

/* The disks that are still to be looked for: ours, and not announced again meanwhile;
 * NULL for the others. Returns how many. */
static unsigned
take_disks(const struct vm_watch *w, struct disk **disks)
{
    unsigned nr = 0;

    for (unsigned i = 0; i < w->nr; i++) {
        disks[i] = is_ours(w, i) ? w->disks[i].disk : NULL;
        nr += disks[i] != NULL;
    }
    return nr;
}

/* Does a VM still use one of the disks here? Its QEMU may be ending just now. After a
 * restart of ours of which nobody said that the VM is gone, its QEMU may come back, or
 * be about to: also when the VM runs elsewhere, for it may be on its way here (policy
 * early). */
static bool
is_used_here(const struct vm_watch *w, bool is_write_known)
{
    for (unsigned i = 0; i < w->nr; i++) {
        struct vm_presence *g = &w->disks[i].disk->presence;
        const struct vm_presence_locked l = vm_presence_look(g);
        const bool is_its_own = !l.is_reader && !l.is_shared; /* else: whose is it? */

        if (l.nr_writers > 0 || (w->is_restart && is_its_own && l.nr > 0) ||
            (w->is_restart && !is_write_known && vm_presence_present(g) > 0)) {
            return true;
        }
    }
    return false;
}

/* Are all our disks of this VM, by the configuration, disks of the domain that go to
 * the same place? Then they go as a group. */
static bool
is_whole_group(const struct vm_watch *w, const struct vm_news *news, unsigned first)
{
    const struct service *s = w->service;
    const char *vm = w->disks[first].disk->cfg->vm;

    for (unsigned i = 0; i < s->nr_disks; i++) {
        bool is_in = strcmp(s->disks[i].cfg->vm, vm) != 0;

        for (unsigned j = 0; j < w->nr && !is_in; j++) {
            is_in = w->disks[j].disk == &s->disks[i] &&
                    strcmp(news->places[j].id, news->places[first].id) == 0;
        }
        if (!is_in) {
            return false;
        }
    }
    return vm[0] != '\0';
}

static int
hand_one(const struct vm_watch *w, const struct vm_news *news, unsigned i,
         struct err *e)
{
    const struct vm_place *place = &news->places[i];
    const struct disk_config *cfg = w->disks[i].disk->cfg;
    const bool is_group = is_whole_group(w, news, i);
    const struct handoff_request rq = {
        .kind = JOB_HAND_OVER,
        .target = target_of(is_group ? cfg->vm : "", cfg->name),
        .to = place->control,
        .deadline_ns = HANDOFF_DEADLINE_NS,
        .budget_ns = CLOCK_NEVER};
    json_t *report = NULL;
    int rc;

    if (place->seen == VM_NOWHERE) {
        return err_set(e, -ENOENT,
                       "libvirt has announced the VM there without this disk");
    }
    if (place->is_ambiguous) {
        return err_set(e, -EAGAIN,
                       "a second service besides %s says that the VM runs there",
                       place->service);
    }
    rc = handoff_run(w->service, &rq, NULL, NULL, e, &report);
    json_decref(report);
    return rc == -EINPROGRESS ? 0 : rc; /* committed: the service goes on by itself */
}

/* Where the most of it is seen, for people. */
static const char *
service_of(const struct vm_watch *w, const struct vm_news *news)
{
    for (unsigned i = 0; i < w->nr; i++) {
        if (news->places[i].seen == news->seen) {
            return news->places[i].service;
        }
    }
    return "another host";
}

/* Does the disk, which the VM only read, stay for others that have it open here? A base
 * or an image of a cdrom follows the last of its VMs. */
static bool
stays_for_others(const struct vm_watched *d)
{
    return d->is_reader &&
           atomic_load_explicit(&d->disk->nr_vms, memory_order_relaxed) > 0;
}

/* Hand over every disk that can be; true: all are. Says once what is in the way of
 * each. */
static bool
hand_all(struct vm_watch *w, const struct vm_news *news)
{
    bool is_all = true;

    for (unsigned i = 0; i < w->nr; i++) {
        struct err e = {0};
        int rc;

        if (!is_ours(w, i)) {
            continue;
        }
        rc = stays_for_others(&w->disks[i])
                 ? err_set(&e, -EBUSY, "other clients have it open here")
                 : hand_one(w, news, i, &e);
        if (rc < 0 && !w->disks[i].is_told) {
            log_warn("VM %s runs at %s, but %s is not handed over: %s", w->vm,
                     service_of(w, news), w->disks[i].disk->cfg->name,
                     err_text(&e, rc));
            w->disks[i].is_told = true;
        }
        is_all = is_all && rc == 0;
    }
    if (is_all) {
        log_info("VM %s runs at %s: its disks are owned there now", w->vm,
                 service_of(w, news));
    }
    return is_all;
}

/* Does it run elsewhere, as far as is known? */
static bool
runs_elsewhere(struct vm_watch *w, const struct vm_news *news)
{
    const bool is_write_known = news->seen == VM_RUNS;
    const uint64_t now_ns = clock_now_ns();

    if (news->seen < VM_OPEN || is_used_here(w, is_write_known)) {
        w->open_since_ns = 0;
        return false;
    }
    if (w->open_since_ns == 0) {
        w->open_since_ns = now_ns;
    }
    /* A QEMU that is to come back after a restart of ours has done so by then, too. */
    return (is_write_known && !w->is_restart) || now_ns - w->open_since_ns >= OPEN_NS;
}

/* It lasts: say so once, and at last give up. is_known: where it runs, and what is in
 * the way was said. */
static enum outcome
go_on(struct vm_watch *w, const struct vm_news *news, bool is_known)
{
    const uint64_t age_ns = clock_now_ns() - w->began_ns;
    const char *what = w->is_restart ? "was announced before the restart" : "is gone";

    if (age_ns > NEW_NS && !w->is_told && !is_known) {
        log_warn("VM %s %s, and whether it runs elsewhere is not known (%s): its disks "
                 "stay here until that is known",
                 w->vm, what,
                 news->is_silent
                     ? "a service does not answer"
                     : "it has no disk open elsewhere, or has one open here");
        w->is_told = true;
    }
    if (age_ns <= LAST_NS) {
        return AGAIN;
    }
    log_warn(
        "VM %s %s, and nothing more was heard of it for a day: its disks stay here "
        "until they are handed over",
        w->vm, what);
    return GONE;
}

/* It stays announced here, but whoever asks is not told any more that it ran here. */
static void
note_moved(const struct vm_watch *w)
{
    for (unsigned i = 0; i < w->nr; i++) {
        vm_presence_moved(&w->disks[i].disk->presence, w->disks[i].generation);
    }
}

static enum outcome
step(struct vm_watch *w)
{
    struct disk *disks[GROUP_MAX_DISKS];
    struct vm_news news;

    if (take_disks(w, disks) == 0) {
        return GONE;
    }
    vm_place_look(w->service, w->uuid, disks, w->nr, &news);
    if (news.seen < VM_AWAITED && !news.is_silent) {
        if (!w->is_restart) {
            log_info("VM %s is gone and runs nowhere else: its disks stay here", w->vm);
        }
        return w->is_restart ? HERE : GONE;
    }
    if (runs_elsewhere(w, &news)) {
        if (!hand_all(w, &news)) {
            return go_on(w, &news, true);
        }
        /* Nobody has said that it is gone: it may have been on its way here. Whoever
         * looks for it later is still told that it was announced. */
        if (w->is_restart) {
            note_moved(w);
        }
        return w->is_restart ? HERE : GONE;
    }
    return go_on(w, &news, false);
}

/* What was announced is of no use any more, unless it was announced again. */
static void
forget(const struct vm_watch *w)
{
    for (unsigned i = 0; i < w->nr; i++) {
        vm_restart_forget(w->disks[i].disk, w->disks[i].generation);
    }
}

/* The next wait is twice as long. */
static void
plan(struct vm_watch *w)
{
    const uint64_t now_ns = clock_now_ns();
    const uint64_t most_ns = now_ns - w->began_ns < NEW_NS ? MAX_WAIT_NS : SLOW_WAIT_NS;

    w->due_ns = now_ns + w->wait_ns;
    w->wait_ns = w->wait_ns * 2 < most_ns ? w->wait_ns * 2 : most_ns;
}

/* Take the first watch that is due, waiting for it; NULL: there is none at all. */
static struct vm_watch *
take_due(struct vm_watches *q)
{
    struct vm_watch *w, *first;
    LK_GUARD(&q->lock);

    for (;;) {
        first = TAILQ_FIRST(&watches_locked(q)->waiting);
        TAILQ_FOREACH(w, &watches_locked(q)->waiting, link)
        {
            first = w->due_ns < first->due_ns ? w : first;
        }
        if (first == NULL) {
            watches_locked(q)->nr_threads--;
            return NULL;
        }
        if (first->due_ns <= clock_now_ns()) {
            TAILQ_REMOVE(&watches_locked(q)->waiting, first, link);
            return first;
        }
        (void)cv_wait_until(&q->changed, &q->lock, first->due_ns);
    }
}

static void
put_back(struct vm_watches *q, struct vm_watch *w)
{
    LK_GUARD(&q->lock);

    TAILQ_INSERT_TAIL(&watches_locked(q)->waiting, w, link);
    cv_signal(&q->changed);
}

static void
drop(struct vm_watches *q, struct vm_watch *w)
{
    LK_GUARD(&q->lock);

    watches_locked(q)->nr--;
    free(w);
}

static void *
watch_thread(void *arg)
{
    struct vm_watches *q = arg;
    struct vm_watch *w;

    while ((w = take_due(q)) != NULL) {
        enum outcome outcome = step(w);

        if (outcome == AGAIN) {
            plan(w);
            put_back(q, w);
            continue;
        }
        if (outcome == GONE) {
            forget(w);
        }
        drop(q, w);
    }
    return NULL;
}

int
vm_watches_new(struct vm_watches **ret_q)
{
    struct vm_watches *q = calloc(1, sizeof *q);

    if (q == NULL) {
        return -ENOMEM;
    }
    lk_init(&q->lock);
    cv_init(&q->changed);
    TAILQ_INIT(&q->locked_.waiting);
    *ret_q = q;
    return 0;
}

void
vm_watches_free(struct vm_watches *q)
{
    if (q != NULL) {
        assert(q->locked_.nr == 0);
        cv_done(&q->changed);
        lk_done(&q->lock);
        free(q);
    }
}

/* Have one more thread if there may be work for it. */
static int
need_thread(struct vm_watches *q) LK_REQUIRES(q->lock)
{
    struct vm_watches_locked *l = watches_locked(q);
    pthread_t thread;

    if (l->nr_threads >= MAX_THREADS || l->nr_threads >= l->nr) {
        return 0;
    }
    if (pthread_create(&thread, NULL, watch_thread, q) != 0) {
        return l->nr_threads > 0 ? 0 : -EAGAIN; /* the others do it */
    }
    (void)pthread_detach(thread);
    l->nr_threads++;
    return 0;
}

int
vm_watch_start(const struct vm_watch *w, struct err *e)
{
    struct vm_watches *q = w->service->vm_watches;
    struct vm_watch *mine = malloc(sizeof *mine);
    int rc;
    LK_GUARD(&q->lock);

    if (mine == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    *mine = *w;
    mine->began_ns = clock_now_ns();
    mine->due_ns = mine->began_ns;
    mine->wait_ns = FIRST_WAIT_NS;
    watches_locked(q)->nr++;
    TAILQ_INSERT_TAIL(&watches_locked(q)->waiting, mine, link);
    rc = need_thread(q);
    if (rc < 0) {
        TAILQ_REMOVE(&watches_locked(q)->waiting, mine, link);
        watches_locked(q)->nr--;
        free(mine);
        return err_set(e, rc, "no thread to look where VM %s runs", w->vm);
    }
    cv_signal(&q->changed);
    return 0;
}

/* The watch of the VM, of the nr there are, or a new one. */
static struct vm_watch *
watch_of(struct service *s, struct vm_watch *watches, unsigned *nr,
         const struct record_vm *vm)
{
    struct vm_watch *w = watches;

    while (w < watches + *nr &&
           (strcmp(w->uuid, vm->uuid) != 0 || w->nr == GROUP_MAX_DISKS)) {
        w++;
    }
    if (w == watches + *nr) {
        (*nr)++;
        w->service = s;
        w->is_restart = true;
        (void)snprintf(w->uuid, sizeof w->uuid, "%s", vm->uuid);
        (void)snprintf(w->vm, sizeof w->vm, "%s", vm->name);
    }
    /* What is known of one disk is known of the VM. */
    w->is_restart = w->is_restart && !vm->is_gone;
    return w;
}

void
vm_watch_all(struct service *s)
{
    struct vm_watch *watches = calloc(s->nr_disks + 1, sizeof *watches);
    unsigned nr = 0;

    for (unsigned i = 0; i < s->nr_disks && watches != NULL; i++) {
        struct disk *d = &s->disks[i];
        struct vm_watch *w;
        struct record_vm vm;

        record_vm_read(s->records, d->cfg->name, &vm);
        if (vm.uuid[0] == '\0' || disk_record(d).role != ROLE_OWNER) {
            continue;
        }
        w = watch_of(s, watches, &nr, &vm);
        w->disks[w->nr].disk = d;
        w->disks[w->nr++].generation = vm_presence_look(&d->presence).generation;
    }
    for (unsigned i = 0; i < nr; i++) {
        struct err e = {{0}};
        int rc = vm_watch_start(&watches[i], &e);

        if (rc < 0) {
            log_warn("%s", err_text(&e, rc));
        }
    }
    free(watches);
}
