/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of one disk: our record, the device, and what others say. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "device_check.h"
#include "disk.h"
#include "disk_failed.h"
#include "handoff.h"
#include "owner_word.h"
#include "port_file.h"
#include "recover.h"

#define LOOK_NS (2 * NS_PER_S)      /* a service on this host */
#define LOOK_FAR_NS (10 * NS_PER_S) /* ssh has to start first */

static void
ask_other(const char *uri, const struct record *rec, struct owner_word *o)
{
    uint64_t ns = strncmp(uri, "ssh:", 4) == 0 ? LOOK_FAR_NS : LOOK_NS;
    json_t *status = NULL;
    struct err e = {{0}};
    int rc = owner_word_ask(uri, clock_deadline_ns(ns), &e, &status);

    (void)snprintf(o->uri, sizeof o->uri, "%s", uri);
    if (rc < 0) {
        o->kind = WORD_SILENT;
        (void)snprintf(o->why, sizeof o->why, "%.255s", err_text(&e, rc));
        return;
    }
    owner_word_read(status, rec, o);
    json_decref(status);
}

static void
ask_others(const char *const *ask, unsigned nr_ask, struct recover_facts *f)
{
    (void)snprintf(f->others[0].service, sizeof f->others[0].service, "%s",
                   f->rec.peer_name);
    if (f->rec.peer_control[0] != '\0') {
        ask_other(f->rec.peer_control, &f->rec, &f->others[0]);
    }
    f->nr_others = 1;
    for (unsigned i = 0; i < nr_ask && f->nr_others < RECOVER_MAX_OTHERS; i++) {
        if (strcmp(ask[i], f->rec.peer_control) != 0) {
            ask_other(ask[i], &f->rec, &f->others[f->nr_others++]);
        }
    }
}

/* The lock, without taking it: a peer that comes back just now must not be refused
 * because of a question. */
static void
probe_lock(struct disk *d, struct port *port, struct recover_facts *f)
{
    struct err e = {{0}};
    int rc;

    if (d->cfg->is_nbd) {
        f->lock = LOCK_NONE;
        return;
    }
    rc = port_file_probe(port, &e);
    f->lock = rc == 0 ? LOCK_FREE : rc == -EBUSY ? LOCK_HELD : LOCK_UNKNOWN;
    (void)snprintf(f->lock_why, sizeof f->lock_why, "%.511s",
                   rc == -EBUSY && strncmp(e.msg, "it ", 3) == 0 ? e.msg + 3
                                                                 : err_text(&e, rc));
}

static void
look_at_device(struct disk *d, struct recover_facts *f)
{
    struct port *port = NULL;
    struct err e = {{0}};
    int rc;

    f->path = d->cfg->device;
    if (disk_failed_is(d, &e)) {
        f->device = DEVICE_MISSING;
        f->lock = LOCK_UNKNOWN;
        (void)snprintf(f->device_why, sizeof f->device_why, "%.511s", e.msg);
        return;
    }
    if (f->rec.role == ROLE_OWNER) {
        f->lock = d->cfg->is_nbd ? LOCK_NONE : LOCK_OURS;
        return;
    }
    f->lock = LOCK_UNKNOWN;
    rc = disk_open_device(d, &e, &port);
    if (rc < 0) {
        f->device = DEVICE_MISSING;
        (void)snprintf(f->device_why, sizeof f->device_why, "%.511s", err_text(&e, rc));
        return;
    }
    if (f->rec.info.size > 0) {
        rc = port_info_can_replace(&f->rec.info, &port->info, &e);
        if (rc == 0) {
            rc = device_check(d, port, &e);
        }
    }
    if (rc < 0) {
        f->device = DEVICE_DIFFERS;
        (void)snprintf(f->device_why, sizeof f->device_why, "%.511s", err_text(&e, rc));
    }
    probe_lock(d, port, f);
    port_close(port);
}

void
recover_gather(struct disk *d, const char *const *ask, unsigned nr_ask,
               struct recover_facts *ret_f)
{
    struct handoff_now now;

    *ret_f = (struct recover_facts){.service = d->service->cfg->name};
    lk_acquire(&d->lock);
    ret_f->rec = disk_locked(d)->rec;
    ret_f->refused_epoch = disk_locked(d)->rec.refused_epoch;
    lk_release(&d->lock);
    /* A standby's record may have been made before it had its present name or VM. */
    (void)snprintf(ret_f->rec.name, sizeof ret_f->rec.name, "%s", d->cfg->name);
    (void)snprintf(ret_f->rec.vm, sizeof ret_f->rec.vm, "%s", d->cfg->vm);
    ret_f->since = record_time(d->service->records, d->cfg->name);
    ret_f->is_asking =
        handoff_now_of(d->service, d, &now) && now.phase == HANDOFF_ASSIGN;
    look_at_device(d, ret_f);
    ask_others(ask, nr_ask, ret_f);
}
