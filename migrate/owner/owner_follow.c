/* SPDX-License-Identifier: BSD-3-Clause */
#include "owner_follow.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "disk.h"
#include "lease_take.h"
#include "log.h"
#include "owner_find.h"
#include "service.h"
#include "target.h"

#define SEARCH_TIMEOUT_NS (20 * NS_PER_S)
#define LINGER_NS (3 * NS_PER_S)
#define LOOK_AGAIN_NS (20 * NS_PER_MS)
#define LOOK_AGAIN_MAX_NS (160 * NS_PER_MS)
#define SAY_TIMEOUT_NS (3 * NS_PER_S) /* somebody waits for the sentence */
/* Older: the owner was reached since, or nobody wants anything of it. */
#define FRESH_NS (5 * NS_PER_S)
#define TELL_AFTER_NS NS_PER_S /* a search that has failed for so long is logged */

int
owner_follow_write_down(struct disk *d, const struct owner_answer *w, struct err *e)
{
    struct record rec = disk_next_record(d, ROLE_GIVEN, w->epoch), now = disk_record(d);
    bool is_committed = false;
    int rc;

    if (now.role != ROLE_GIVEN || now.epoch > w->epoch ||
        (now.epoch == w->epoch && strcmp(now.right, w->right) == 0)) {
        return err_set(e, -ESTALE, "%s is %s at epoch %" PRIu64 " by now", d->cfg->name,
                       role_name(now.role), now.epoch);
    }
    rec.is_learned = true;
    memcpy(rec.right, w->right, sizeof rec.right);
    (void)snprintf(rec.peer_name, sizeof rec.peer_name, "%s", w->service);
    (void)snprintf(rec.peer_control, sizeof rec.peer_control, "%s", w->control);
    rec.nr_channels = w->nr_channels;
    memcpy(rec.channels, w->channels, sizeof rec.channels);
    rc = record_commit(d->service->records, &rec, 1, e, &is_committed);
    if (rc < 0 && !is_committed) {
        return rc;
    }
    disk_set_record(d, &rec);
    log_info("%s is owned by %s now, at epoch %" PRIu64 ": following it", d->cfg->name,
             w->service, w->epoch);
    return 0;
}

/* While everybody who knows the disk answers and nobody owns it (it is parked, or on
 * its way to the next owner) it is asked again for a while, more often than the channel
 * tries: requests wait for the answer. */
static int
look(struct disk *d, const struct record *rec, struct err *e,
     struct owner_answer *ret_w)
{
    const uint64_t linger_ns = clock_deadline_ns(LINGER_NS);
    uint64_t wait_ns = LOOK_AGAIN_NS;
    int rc;

    for (;;) {
        rc = owner_find(d->service, rec, false, clock_deadline_ns(SEARCH_TIMEOUT_NS), e,
                        ret_w);
        if (rc != -EAGAIN || clock_now_ns() >= linger_ns) {
            return rc;
        }
        (void)poll(NULL, 0, (int)(wait_ns / NS_PER_MS)); /* they tell when asked */
        wait_ns = clock_earlier(2 * wait_ns, LOOK_AGAIN_MAX_NS);
    }
}

static int
search(struct disk *d, const struct record *rec, struct err *e)
{
    struct redir_status st;
    struct owner_answer w;
    int rc = look(d, rec, e, &w);

    if (rc < 0) {
        return rc;
    }
    rc = disk_claim_record(d, e);
    if (rc < 0) {
        return rc;
    }
    rc = owner_follow_write_down(d, &w, e);
    redir_status(disk_redir(d), &st);
    if (rc == 0 && st.side == REDIR_REMOTE && redir_active(disk_redir(d)) != NULL) {
        port_channel_hurry(redir_active(disk_redir(d))); /* it stays while we claim */
    }
    disk_unclaim_record(d);
    if (rc == 0) {
        lease_renew(d); /* nobody may have handed on what the one before knew */
    }
    return rc;
}

/* Has there been a session since ns? Then what a search said before is over. */
static bool
was_found_since(struct disk *d, uint64_t ns)
{
    return atomic_load_explicit(&d->kept.is_up, memory_order_relaxed) ||
           atomic_load_explicit(&d->kept.seen_ns, memory_order_relaxed) >= ns;
}

/* Keep what status tells, and log it once when it lasts. */
static void
end_search(struct disk *d, uint64_t began_ns, int rc, const struct err *e)
{
    bool is_silent = rc == 0 || rc == -EALREADY || was_found_since(d, began_ns);
    bool is_due = false;
    struct disk_locked *l;
    char name[NAME_MAX_LEN + 1];

    lk_acquire(&d->lock);
    l = disk_locked(d);
    if (is_silent) {
        l->search_since_ns = 0;
        l->is_search_told = false;
    } else if (l->search_since_ns == 0) {
        l->search_since_ns = clock_now_ns();
    } else if (!l->is_search_told &&
               clock_now_ns() - l->search_since_ns > TELL_AFTER_NS) {
        l->is_search_told = true;
        is_due = true;
    }
    (void)snprintf(l->search, sizeof l->search, "%s", is_silent ? "" : err_text(e, rc));
    l->search_end_ns = clock_now_ns();
    l->is_searching = false;
    (void)snprintf(name, sizeof name, "%s", d->cfg->name);
    cv_broadcast(&d->changed);
    lk_release(&d->lock); /* from here on d may be gone */
    if (is_due) {
        log_warn("the owner of %s is not found: %s; requests are held, asking again",
                 name, err_text(e, rc));
    }
}

static void *
search_thread(void *arg)
{
    struct disk *d = arg;
    struct record rec = disk_record(d);
    uint64_t began_ns = clock_now_ns();
    struct err e = {0};
    int rc = rec.role == ROLE_GIVEN ? search(d, &rec, &e) : 0;

    if (rc < 0) {
        (void)err_prefix(&e, rc, "%s", rec.name);
    }
    end_search(d, began_ns, rc, &e);
    return NULL;
}

/* Have a thread look, unless one does. */
static void
begin_search(struct disk *d)
{
    pthread_t thread;
    LK_GUARD(&d->lock);

    if (disk_locked(d)->is_searching) {
        return;
    }
    if (pthread_create(&thread, NULL, search_thread, d) == 0) { /* else the next try */
        (void)pthread_detach(thread);
        disk_locked(d)->is_searching = true;
    }
}

bool
owner_follow_moved(void *opaque, uint64_t epoch, const char *right,
                   struct port_channel_place *ret_place)
{
    struct disk *d = opaque;
    struct record rec = disk_record(d);

    static_assert(RECORD_MAX_URIS <= CHANNEL_MAX_URIS, "an owner's listeners fit");
    static_assert(RECORD_URI_LEN <= CHANNEL_URI_LEN, "and each of them");
    if (rec.role != ROLE_GIVEN || rec.epoch < epoch) {
        return false; /* it is still ours, or ours again */
    }
    if (rec.epoch == epoch && strcmp(rec.right, right) == 0) {
        begin_search(d);
        return false;
    }
    ret_place->epoch = rec.epoch;
    memcpy(ret_place->right, rec.right, sizeof ret_place->right);
    ret_place->nr_uris = rec.nr_channels;
    for (unsigned i = 0; i < rec.nr_channels; i++) {
        (void)snprintf(ret_place->uris[i], CHANNEL_URI_LEN, "%s", rec.channels[i]);
    }
    return rec.nr_channels > 0;
}

bool
owner_follow_claimed(struct disk *d, uint64_t epoch)
{
    struct record rec = disk_record(d);
    struct err ignored = {0}; /* the caller knows whom it waits for, and says so */
    struct owner_answer w;

    if (rec.epoch > epoch) {
        return true;
    }
    return d->service->cfg->nr_peers > 0 &&
           owner_find(d->service, &rec, true, clock_deadline_ns(SEARCH_TIMEOUT_NS),
                      &ignored, &w) == 0 &&
           owner_follow_write_down(d, &w, &ignored) == 0;
}

void
owner_follow_search_text(struct disk *d, char *buf)
{
    LK_GUARD(&d->lock);

    uint64_t end_ns = disk_locked(d)->search_end_ns;
    bool is_news = clock_now_ns() - end_ns < FRESH_NS && !was_found_since(d, end_ns);

    (void)snprintf(buf, SEARCH_TEXT, "%s", is_news ? disk_locked(d)->search : "");
}

void
owner_follow_say_owner(struct service *s, const struct target *target, struct err *e)
{
    struct disk *disks[GROUP_MAX_DISKS];
    struct err ignored = {0};
    unsigned nr = 0;

    if (service_find_target(s, target, &ignored, disks, &nr) < 0) {
        return;
    }
    for (unsigned i = 0; i < nr; i++) {
        struct record rec = disk_record(disks[i]);
        size_t len = strlen(e->msg);
        struct owner_answer w;

        if (rec.role != ROLE_GIVEN) {
            continue;
        }
        if (owner_find(s, &rec, false, clock_deadline_ns(SAY_TIMEOUT_NS), &ignored,
                       &w) == 0) {
            (void)snprintf(e->msg + len, sizeof e->msg - len,
                           "; it is owned by %s now, at epoch %" PRIu64 ": ask %s",
                           w.service, w.epoch, w.control);
        }
        return;
    }
}
