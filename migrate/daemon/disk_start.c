/* SPDX-License-Identifier: BSD-3-Clause */
#include "disk_start.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <uuid/uuid.h>

#include "device_check.h"
#include "device_wait.h"
#include "disk.h"
#include "disk_ownership.h"
#include "log.h"
#include "port_channel.h"
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
        log_warn("%s: the right of its channels cannot be written down: %s", rec->name,
                 err_text(&e, rc));
    }
    disk_set_record(d, rec);
}

/* If it is the device that was here. */
static int
own(struct disk *d, struct port *port, struct err *e)
{
    int rc = device_check(d, port, e);

    if (rc < 0) {
        return rc;
    }
    rc = port_own(port, e);
    if (rc < 0) {
        return rc;
    }
    return device_begin(d, e);
}

static int
start_owner(struct disk *d, const struct record *rec, struct err *e)
{
    struct port *port;
    int rc;

    if (!d->cfg->is_nbd && d->cfg->appears_within_ns > 0) { /* all at the same time */
        (void)device_wait(d->cfg->device,
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
    rc = own(d, port, e);
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
        port_channel_inherit(channel);
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
