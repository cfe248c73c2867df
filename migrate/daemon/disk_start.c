/* SPDX-License-Identifier: BSD-3-Clause */
#include "disk_start.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uuid/uuid.h>

#include "clock.h"
#include "device_check.h"
#include "device_wait.h"
#include "disk.h"
#include "disk_ownership.h"
#include "log.h"
#include "service.h"
#include "superseded.h"

/* A disk without a record: it becomes what its configuration says. */
static int
first_record(struct disk *d, struct err *e)
{
    struct record rec = disk_next_record(d, d->cfg->role, 0);
    struct port *port = NULL;
    bool is_committed;
    int rc;

    (void)snprintf(rec.uuid, sizeof rec.uuid, "%s", d->cfg->uuid);
    if (rec.role == ROLE_OWNER) {
        rc = disk_open_device(d, e, &port);
        if (rc < 0) {
            return rc;
        }
        rc = port_own(port, e); /* before the record: a refusal leaves none */
        if (rc < 0) {
            port_close(port);
            return err_prefix(e, rc, "disk %s", d->cfg->name);
        }
        rec.info = port->info;
        rec.epoch = 1;
        if (rec.uuid[0] == '\0') {
            uuid_t u;

            uuid_generate(u);
            uuid_unparse_lower(u, rec.uuid);
        }
    }
    rc = record_commit(d->service->records, &rec, 1, e, &is_committed);
    if (rc == 0) {
        disk_set_record(d, &rec);
    }
    port_close(port); /* start_owner() opens it as at every other start */
    return rc;
}

/* A record of an earlier program has no right. If it cannot be written down, channels
 * are told another one after the next start. */
static void
need_right(struct disk *d, struct record *rec)
{
    struct err e = {0};
    bool is_committed;
    int rc;

    if (rec->right[0] != '\0') {
        return;
    }
    channel_right_new(rec->right);
    rc = record_commit(d->service->records, rec, 1, &e, &is_committed);
    if (rc < 0) {
        log_warn("%s: the right of its channels is not written down: %s", rec->name,
                 err_text(&e, rc));
    }
    disk_set_record(d, rec);
}

static int
start_owner(struct disk *d, const struct record *rec, struct err *e)
{
    struct port *port;
    int rc;

    if (!d->cfg->is_nbd && d->cfg->appears_within_ns > 0) { /* all at the same time */
        (void)appear_wait(d->cfg->device,
                          d->service->began_ns + d->cfg->appears_within_ns);
    }
    rc = disk_open_device(d, e, &port);
    if (rc < 0) {
        return rc;
    }
    rc = port_info_can_replace(&rec->info, &port->info, e);
    if (rc < 0) {
        (void)err_prefix(e, rc, "disk %s: the device is not what it was", d->cfg->name);
        goto fail;
    }
    rc = disk_need_redir(d, &rec->info, e);
    if (rc < 0) {
        goto fail;
    }
    rc = device_check(d, port, e);
    rc = rc == 0 ? port_own(port, e) : rc;
    rc = rc == 0 ? device_begin(d, e) : rc;
    if (rc < 0) {
        (void)err_prefix(e, rc, "disk %s", d->cfg->name);
        goto fail;
    }
    disk_assign(d, port);
    device_remember(d);
    return 0;
fail:
    port_close(port);
    return rc;
}

static int
start_given(struct disk *d, const struct record *rec, struct err *e)
{
    struct port *channel = NULL;
    int rc = disk_need_redir(d, &rec->info, e);

    if (rc == 0) {
        rc = disk_new_channel(d, rec, e, &channel);
    }
    if (rc == 0) {
        disk_follow(d, channel);
    }
    return rc;
}

int
disk_start(struct disk *d, struct err *e)
{
    struct record rec;
    int rc = record_load(d->service->records, d->cfg->name, e, &rec);

    if (rc == -ENOENT) {
        rc = first_record(d, e);
        rec = disk_record(d);
    } else if (rc == 0) {
        disk_set_record(d, &rec);
    }
    if (rc < 0) {
        return rc;
    }
    if (d->cfg->uuid[0] != '\0' && rec.uuid[0] != '\0' &&
        strcmp(d->cfg->uuid, rec.uuid) != 0) {
        return err_set(e, -EINVAL, "disk %s: the record says uuid %s, not %s",
                       d->cfg->name, rec.uuid, d->cfg->uuid);
    }
    switch (rec.role) {
    case ROLE_OWNER:
        rc = superseded_at_start(d, &rec, e);
        if (rc == 0) {
            need_right(d, &rec);
        }
        return rc == 0 ? start_owner(d, &rec, e) : rc == 1 ? 0 : rc;
    case ROLE_GIVEN:
        return start_given(d, &rec, e);
    case ROLE_PARKED:
        return disk_need_redir(d, &rec.info, e);
    case ROLE_STANDBY:
        return 0;
    }
    return 0;
}

/* The thread's, and of who waits for it. */
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

void
disk_stop(struct disk *d, uint64_t deadline_ns)
{
    struct redir *r = disk_redir(d);
    struct port *old;

    /* For good. Not under a handoff that is going on: it is left as by a crash. */
    if (disk_claim(d, "the end of the service", NULL) < 0) {
        return;
    }
    if (r == NULL || redir_hold(r) < 0 || disk_record(d).role != ROLE_OWNER) {
        return; /* nothing of ours is in the device */
    }
    if (redir_drain(r, deadline_ns) < 0) {
        return; /* the kernel lets the lock go when the process ends */
    }
    if (flusher_start(&d->flusher, redir_active(r), URGENCY_CONTROL, deadline_ns) < 0 ||
        flusher_wait(&d->flusher, deadline_ns) == -ETIMEDOUT) {
        return; /* unflushed writes were not promised; the flush has the port still */
    }
    if (redir_swap(r, NULL, REDIR_LOCAL, NULL, &old) == 0) {
        close_for_good(d, old, deadline_ns);
    }
}
