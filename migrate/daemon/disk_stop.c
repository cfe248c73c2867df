/* SPDX-License-Identifier: BSD-3-Clause */
#include "disk_stop.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "device_check.h"
#include "disk.h"
#include "disk_durability.h"
#include "log.h"

/* Shared by the thread and the caller that waits for it. */
struct closing {
    struct disk *disk;
    struct port *port;
    struct lk lock; /* leaf: guards is_done */
    struct cv done;
    bool is_done;
};

static void *
close_thread(void *arg)
{
    struct closing *c = arg;

    device_remember_closed(c->disk, c->port);
    port_close(c->port);
    lk_acquire(&c->lock);
    c->is_done = true;
    cv_broadcast(&c->done);
    lk_release(&c->lock);
    return NULL;
}

/* To remember what the device is like it is read, which nothing can end: after the
 * deadline the process does. So c is never freed. */
static void
close_for_good(struct disk *d, struct port *port, uint64_t deadline_ns)
{
    struct closing *c = calloc(1, sizeof *c);
    pthread_t thread;

    if (c == NULL) {
        return;
    }
    c->disk = d;
    c->port = port;
    lk_init(&c->lock);
    cv_init(&c->done);
    if (pthread_create(&thread, NULL, close_thread, c) != 0) {
        port_close(port);
        return;
    }
    (void)pthread_detach(thread);
    lk_acquire(&c->lock);
    while (!c->is_done &&
           cv_wait_until(&c->done, &c->lock, deadline_ns) != -ETIMEDOUT) {
    }
    lk_release(&c->lock);
}

static void
tell_kept(struct disk *d)
{
    uint64_t nr = disk_nr_kept(d);

    if (nr > 0) {
        log_warn("%s: %" PRIu64 " acknowledged writes were not flushed by %s and are "
                 "kept here no more: if it loses them, they are lost",
                 d->cfg->name, nr, disk_record(d).peer_name);
    }
}

/* Requests wait at the gate. The copies of what was acknowledged go with us, its VMs
 * may not. */
static void
flush_kept(struct disk *d, uint64_t deadline_ns)
{
    if (redir_drain(disk_redir(d), deadline_ns) == 0 && disk_nr_kept(d) > 0 &&
        flusher_start(&d->flusher, redir_active(disk_redir(d)), URGENCY_CONTROL,
                      deadline_ns) == 0) {
        (void)flusher_wait(&d->flusher, deadline_ns); /* what is left says it */
    }
}

void
disk_stop(struct disk *d, uint64_t deadline_ns)
{
    struct redir *r = disk_redir(d);
    struct redir_status st;
    struct port *old;
    int rc;

    /* For good. Not under a handoff that is going on: it is left as by a crash. */
    if (disk_claim(d, "the end of the service", NULL) < 0) {
        return;
    }
    if (r == NULL || redir_hold(r) < 0) {
        tell_kept(d); /* it is parked */
        return;
    }
    if (disk_record(d).role != ROLE_OWNER) { /* nothing of ours is in the device */
        redir_status(r, &st);
        if (st.side == REDIR_REMOTE && d->cfg->durability == CHANNEL_KEEP) {
            flush_kept(d, deadline_ns);
            tell_kept(d);
        }
        return;
    }
    if (redir_drain(r, deadline_ns) < 0) {
        return; /* the kernel lets the lock go when the process ends */
    }
    if (flusher_start(&d->flusher, redir_active(r), URGENCY_CONTROL, deadline_ns) < 0) {
        return;
    }
    rc = flusher_wait(&d->flusher, deadline_ns);
    if (rc == -ETIMEDOUT) {
        return; /* unflushed writes were not promised; the flush has the port still */
    }
    if (rc < 0) { /* of which the next life hears nothing */
        log_error("%s: the flush of %s at the end failed: %s: acknowledged writes may "
                  "be lost",
                  d->cfg->name, d->cfg->device, err_text(NULL, rc));
    }
    if (redir_swap(r, NULL, REDIR_LOCAL, NULL, &old) == 0) {
        close_for_good(d, old, deadline_ns);
    }
}
