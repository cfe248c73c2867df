/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "handoff.h"
#include "known.h"
#include "log.h"
#include "service.h"
#include "vm_kept.h"
#include "where.h"

#define ASK_TIMEOUT_NS (2 * NS_PER_S)
#define FIRST_WAIT_NS (50 * NS_PER_MS) /* doubles, up to: */
#define MAX_WAIT_NS NS_PER_S
#define IDLE_NS (600 * NS_PER_S)  /* for a VM that is there to write something */
#define SILENT_NS (60 * NS_PER_S) /* for services that do not answer */
#define HANDOFF_DEADLINE_NS (5 * NS_PER_S)
#define MAX_WATCHES 64

/* How many there are; relaxed: only a bound. */
static _Atomic unsigned nr_watches;

/* What one service says of the VM; the higher counts. */
enum place { NOT_THERE, SILENT, ARRIVING, RUNNING };

/* What is known of all of them. */
struct news {
    enum place place; /* the highest of all */
    unsigned nr_running;
    char control[RECORD_URI_LEN]; /* of who runs it */
    char service[NAME_MAX_LEN + 1];
};

static bool
is_ours(const struct vm_watch *w, unsigned i)
{
    return disk_record(w->disks[i].disk).role == ROLE_OWNER;
}

/* Is it started here again, or was everything given away meanwhile? */
static bool
is_over(const struct vm_watch *w)
{
    bool is_any_ours = false;

    for (unsigned i = 0; i < w->nr; i++) {
        if (guests_look(&w->disks[i].disk->guests).generation !=
            w->disks[i].generation) {
            return true;
        }
        is_any_ours = is_any_ours || is_ours(w, i);
    }
    return !is_any_ours;
}

/* Does a VM still write to one of the disks here? Its QEMU may be ending just now. */
static bool
is_used_here(const struct vm_watch *w)
{
    for (unsigned i = 0; i < w->nr; i++) {
        if (guests_look(&w->disks[i].disk->guests).nr_writers > 0) {
            return true;
        }
    }
    return false;
}

/* Ask one service about every disk. */
static enum place
look_at(const struct vm_watch *w, const char *control, struct where *ret_x)
{
    unsigned nr_connected = 0, nr_writers = 0, nr = 0;

    for (unsigned i = 0; i < w->nr; i++) {
        const uint64_t deadline_ns = clock_deadline_ns(ASK_TIMEOUT_NS);
        struct record rec = disk_record(w->disks[i].disk);
        bool is_unknown = false;
        struct where x;

        if (rec.role != ROLE_OWNER) {
            continue;
        }
        nr++;
        if (where_ask(control, rec.uuid, NULL, deadline_ns, NULL, &is_unknown, &x) <
            0) {
            if (is_unknown) {
                continue; /* so no VM has opened it there */
            }
            return SILENT;
        }
        if (strcmp(x.id, record_dir_service_id(w->service->records)) == 0) {
            return NOT_THERE; /* that is us */
        }
        if (strcmp(x.vm_uuid, w->uuid) == 0 && x.nr_vms > 0) {
            nr_connected++;
            nr_writers += x.nr_vm_writers > 0;
            *ret_x = x;
        }
    }
    return nr_connected == 0                      ? NOT_THERE
           : nr_connected == nr && nr_writers > 0 ? RUNNING
                                                  : ARRIVING;
}

static struct news
look(const struct vm_watch *w)
{
    char controls[KNOWN_ALL_MAX][RECORD_URI_LEN];
    unsigned nr = known_all(&w->service->known, w->service->cfg, controls);
    struct news news = {.place = NOT_THERE};

    for (unsigned i = 0; i < nr; i++) {
        struct where x;
        enum place place = look_at(w, controls[i], &x);

        news.place = place > news.place ? place : news.place;
        if (place == RUNNING && strcmp(news.service, x.service) != 0) {
            news.nr_running++;
            (void)snprintf(news.service, sizeof news.service, "%s", x.service);
            memcpy(news.control, controls[i], sizeof news.control);
        }
    }
    return news;
}

/* Are all our disks of this VM, by the configuration, disks of the domain? Then they go
 * as a group. */
static bool
is_whole_group(const struct vm_watch *w, const char *vm)
{
    const struct service *s = w->service;

    for (unsigned i = 0; i < s->nr_disks; i++) {
        bool is_in = false;

        for (unsigned j = 0; j < w->nr; j++) {
            is_in = is_in || w->disks[j].disk == &s->disks[i];
        }
        if (strcmp(s->disks[i].cfg->vm, vm) == 0 && !is_in) {
            return false;
        }
    }
    return true;
}

static int
hand_one(const struct vm_watch *w, const struct disk *d, const char *to, struct err *e)
{
    const char *vm = d->cfg->vm;
    const bool is_group = vm[0] != '\0' && is_whole_group(w, vm);
    char target[NAME_MAX_LEN + 8];
    const struct handoff_request rq = {.target = target,
                                       .to = to,
                                       .deadline_ns = HANDOFF_DEADLINE_NS,
                                       .budget_ns = CLOCK_NEVER};
    json_t *report = NULL;
    int rc;

    (void)snprintf(target, sizeof target, "%s%s", is_group ? "vm:" : "",
                   is_group ? vm : d->cfg->name);
    rc = handoff_run(w->service, &rq, NULL, NULL, e, &report);
    json_decref(report);
    return rc == -EINPROGRESS ? 0 : rc; /* committed: the service goes on by itself */
}

/* true: done. Says once what is in the way. */
static bool
hand_all(struct vm_watch *w, const struct news *news)
{
    for (unsigned i = 0; i < w->nr; i++) {
        struct err e = {0};
        int rc = is_ours(w, i) ? hand_one(w, w->disks[i].disk, news->control, &e) : 0;

        if (rc < 0) {
            if (!w->is_told) {
                log_warn("VM %s runs at %s, but %s is not handed over: %s", w->vm,
                         news->service, w->disks[i].disk->cfg->name, err_text(&e, rc));
            }
            w->is_told = true;
            return false;
        }
    }
    log_info("VM %s runs at %s: its disks are owned there now", w->vm, news->service);
    return true;
}

/* true: nothing more is to be done. */
static bool
step(struct vm_watch *w, uint64_t began_ns)
{
    const uint64_t age_ns = clock_now_ns() - began_ns;
    struct news news;

    if (is_over(w)) {
        return true;
    }
    news = look(w);
    if (news.place == NOT_THERE) {
        if (!w->is_restart) {
            log_info("VM %s is gone and runs nowhere else: its disks stay here", w->vm);
        }
        return true;
    }
    if (news.place == RUNNING && news.nr_running == 1 && !is_used_here(w) &&
        hand_all(w, &news)) {
        return true;
    }
    if (age_ns > (news.place == SILENT ? SILENT_NS : IDLE_NS)) {
        log_warn("VM %s %s, and %s: its disks stay here", w->vm,
                 w->is_restart ? "was announced before the restart" : "is gone",
                 w->is_told ? "they cannot be handed over"
                            : "whether it runs elsewhere is not known");
        return true;
    }
    return false;
}

/* The next wait is twice as long. */
static void
wait_a_while(uint64_t *wait_ns)
{
    const struct timespec ts = clock_to_timespec(*wait_ns);

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL); /* other services tell only
                                                           * when asked */
    *wait_ns = *wait_ns * 2 < MAX_WAIT_NS ? *wait_ns * 2 : MAX_WAIT_NS;
}

/* What was announced is of no use any more, unless it was announced again. */
static void
forget(const struct vm_watch *w)
{
    for (unsigned i = 0; i < w->nr; i++) {
        vm_kept_forget(w->disks[i].disk, w->disks[i].generation);
    }
}

static void *
watch_thread(void *arg)
{
    struct vm_watch *w = arg;
    uint64_t began_ns = clock_now_ns(), wait_ns = FIRST_WAIT_NS;

    while (!step(w, began_ns)) {
        wait_a_while(&wait_ns);
    }
    forget(w);
    free(w);
    (void)atomic_fetch_sub_explicit(&nr_watches, 1, memory_order_relaxed);
    return NULL;
}

int
vm_watch_start(const struct vm_watch *w, struct err *e)
{
    struct vm_watch *mine = malloc(sizeof *mine);
    pthread_t thread;

    if (mine == NULL || atomic_fetch_add_explicit(
                            &nr_watches, 1, memory_order_relaxed) >= MAX_WATCHES) {
        if (mine != NULL) {
            (void)atomic_fetch_sub_explicit(&nr_watches, 1, memory_order_relaxed);
        }
        free(mine);
        return err_set(e, -EAGAIN, "too many VMs are gone at once");
    }
    *mine = *w;
    if (pthread_create(&thread, NULL, watch_thread, mine) != 0) {
        (void)atomic_fetch_sub_explicit(&nr_watches, 1, memory_order_relaxed);
        free(mine);
        return err_set(e, -EAGAIN, "no thread");
    }
    (void)pthread_detach(thread);
    return 0;
}

struct resumed {
    unsigned nr;
    struct vm_watch *watches; /* nr 0: nothing more to do about this one */
};

static void *
resume_thread(void *arg)
{
    struct resumed *r = arg;
    uint64_t began_ns = clock_now_ns(), wait_ns = FIRST_WAIT_NS;
    unsigned nr_left;

    do {
        nr_left = 0;
        for (unsigned i = 0; i < r->nr; i++) {
            struct vm_watch *w = &r->watches[i];

            if (w->nr > 0 && step(w, began_ns)) {
                w->nr = 0;
            }
            nr_left += w->nr > 0;
        }
        if (nr_left > 0) {
            wait_a_while(&wait_ns);
        }
    } while (nr_left > 0);
    free(r->watches);
    free(r);
    return NULL;
}

void
vm_watch_resume(struct vm_watch *watches, unsigned nr)
{
    struct resumed *r = nr > 0 ? malloc(sizeof *r) : NULL;
    pthread_t thread;

    if (r == NULL) {
        free(watches);
        return;
    }
    *r = (struct resumed){.nr = nr, .watches = watches};
    if (pthread_create(&thread, NULL, resume_thread, r) != 0) {
        log_warn("no thread to look for VMs that migrated during the restart");
        free(watches);
        free(r);
        return;
    }
    (void)pthread_detach(thread);
}
