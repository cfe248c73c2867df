/* SPDX-License-Identifier: BSD-3-Clause */
#include "takeover_incoming.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "breakpoint.h"
#include "cleanup.h"
#include "device_wait.h"
#include "disk.h"
#include "disk_durability.h"
#include "identity.h"
#include "service.h"
#include "takeover_batch.h"

bool
takeover_incoming_is_refused(const struct record *rec, const char *uuid, uint64_t epoch)
{
    return epoch <= rec->refused_epoch && strcmp(rec->refused_uuid, uuid) == 0;
}

int
takeover_incoming_check(struct disk *d, const char *uuid, uint64_t epoch, struct err *e)
{
    struct record rec = disk_record(d);

    if (d->service->opaque_filter[0] != '\0') {
        return err_set(e, -EINVAL,
                       "%s: %s has nbdkit's filter %s in front of its disks, and a "
                       "channel would pass through it too; use a layer instead",
                       d->cfg->name, d->service->cfg->name, d->service->opaque_filter);
    }
    if (rec.uuid[0] != '\0' && strcmp(rec.uuid, uuid) != 0) {
        return err_set(e, -EINVAL, "%s: it is another disk: uuid %s, not %s",
                       d->cfg->name, rec.uuid, uuid);
    }
    if (rec.role == ROLE_OWNER) {
        return err_set(e, -EEXIST, "%s: %s owns it itself, at epoch %" PRIu64,
                       d->cfg->name, d->service->cfg->name, rec.epoch);
    }
    if (takeover_incoming_is_refused(&rec, uuid, epoch)) {
        return err_set(e, -ESTALE, "%s: epoch %" PRIu64 " was refused here",
                       d->cfg->name, epoch);
    }
    if (epoch <= rec.epoch) {
        return err_set(e, -ESTALE,
                       "%s: epoch %" PRIu64 " is not newer than %" PRIu64
                       ", which is known here%s%s%s%s",
                       d->cfg->name, epoch, rec.epoch,
                       rec.role == ROLE_GIVEN ? ": it was given to " : "",
                       rec.role == ROLE_GIVEN ? rec.peer_name : "",
                       rec.role == ROLE_GIVEN ? ", ask " : "",
                       rec.role == ROLE_GIVEN ? rec.peer_control : "");
    }
    return 0;
}

void
takeover_incoming_drop(struct disk *d)
{
    struct incoming in;

    lk_acquire(&d->lock);
    in = disk_locked(d)->incoming;
    disk_locked(d)->incoming = (struct incoming){0};
    lk_release(&d->lock);
    if (d->sessions != NULL) {
        session_table_expect(d->sessions, 0);
    }
    if (disk_redir(d) != NULL) {
        redir_end_pause(disk_redir(d));
    }
    record_draft_drop(d->service->records, in.draft);
    port_close(in.port);
}

struct record
takeover_incoming_record(struct disk *d, const struct batch *b, unsigned i)
{
    struct record rec = disk_next_record(d, ROLE_OWNER, b->epochs[i]);
    char mine[CHANNEL_INSTANCE_MAX];

    (void)snprintf(rec.uuid, sizeof rec.uuid, "%s", b->uuids[i]);
    (void)snprintf(rec.peer_name, sizeof rec.peer_name, "%s", b->from);
    rec.nr_channels = 0;
    if (b->rights[i][0] != '\0') {
        (void)snprintf(rec.right, sizeof rec.right, "%s", b->rights[i]);
    }
    batch_history(b, i, &rec);
    disk_instance(d, mine);
    if (strcmp(rec.flushed_by, mine) == 0) {
        rec.flushed_by[0] = '\0'; /* nothing has left our page cache by that */
    }
    rec.info = redir_port(d->redir)->info;
    return rec;
}

int
takeover_incoming_draft(struct service *s, const struct batch *b, struct err *e)
{
    AUTO_FREE struct record *recs = calloc(b->nr, sizeof *recs);
    struct record_draft *draft;
    int rc;

    if (recs == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    for (unsigned i = 0; i < b->nr; i++) {
        recs[i] = takeover_incoming_record(b->disks[i], b, i);
    }
    rc = record_draft_new(s->records, recs, b->nr, e, &draft);
    if (rc == 0) {
        LK_GUARD(&b->disks[0]->lock);

        disk_locked(b->disks[0])->incoming.draft = draft;
    }
    return rc;
}

struct record_draft *
takeover_incoming_take_draft(struct service *s, const struct batch *b,
                             const struct record *recs)
{
    struct disk *first = b->disks[0];
    struct record_draft *draft;

    lk_acquire(&first->lock);
    draft = TAKE(disk_locked(first)->incoming.draft);
    lk_release(&first->lock);
    if (draft != NULL && !record_draft_is_of(draft, recs, b->nr)) {
        record_draft_drop(s->records, TAKE(draft));
    }
    return draft;
}

static bool
is_same_host(const struct batch *b)
{
    char mine[37];

    identity_boot_id(mine);
    return mine[0] != '\0' && strcmp(mine, b->boot_id) == 0;
}

/* Does the page cache of this host hold what the last owner wrote? Not when it used the
 * disk by another path, which has a cache of its own. */
static bool
may_trust_cache(const struct batch *b, unsigned i)
{
    return is_same_host(b) && json_is_true(json_object_get(b->items[i], "same_device"));
}

bool
takeover_incoming_may_be_forgotten(const struct batch *b)
{
    for (unsigned i = 0; i < b->nr; i++) {
        const struct disk_config *c = b->disks[i]->cfg;

        if (!c->is_nbd && c->cache == FILE_CACHE_WRITEBACK && !may_trust_cache(b, i)) {
            return false;
        }
    }
    return true;
}

/* The giver has left the flush to us, because we had one page cache when it asked. Who
 * was parked says no host: it was flushed, or was not asked then. */
static int
check_flushed(struct disk *d, const struct batch *b, unsigned i, struct err *e)
{
    if (b->is_unflushed[i] && b->boot_id[0] != '\0' && !is_same_host(b)) {
        return err_set(e, -EXDEV,
                       "disk %s: %s did not flush it, because %s was on the same "
                       "machine when it was asked, and is on another one now",
                       d->cfg->name, b->from, d->service->cfg->name);
    }
    return 0;
}

/* As PREPARE has done it, for what the disk's clients were promised. An older service
 * does not say that again: then it is what the device can do. */
static int
need_redir(struct disk *d, const struct batch *b, unsigned i, const struct port *port,
           struct err *e)
{
    struct port_info info;
    int rc;

    if (identity_info_from_json(json_object_get(b->items[i], "info"), NULL, &info) <
        0) {
        return disk_need_redir(d, &port->info, e);
    }
    rc = disk_need_redir(d, &info, e);
    return rc == 0 ? disk_has_size(d, info.size, e) : rc;
}

/* Who was restarted since PREPARE may have been given another device meanwhile. What it
 * knew of the one that was compared tells, as far as the system knows anything. */
static int
check_compared(const struct batch *b, unsigned i, struct port *port, struct err *e)
{
    const char *was = json_string_value(json_object_get(b->items[i], "device_id"));
    char is[IDENTITY_DEVICE_LEN] = "";

    (void)port_identify(port, is, sizeof is); /* "" proves nothing */
    if (was != NULL && identity_proves_two(was, is)) {
        return err_set(
            e, -EINVAL,
            "it is another device than the one that was compared: %s, not %s", is, was);
    }
    return 0;
}

int
takeover_incoming_take_device(struct disk *d, const struct batch *b, unsigned i,
                              struct err *e, struct port **ret_port)
{
    struct incoming in;
    int rc = check_flushed(d, b, i, e);

    if (rc < 0) {
        return rc;
    }
    lk_acquire(&d->lock);
    in = disk_locked(d)->incoming;
    disk_locked(d)->incoming.port = NULL;
    lk_release(&d->lock);
    if (in.port != NULL && in.epoch != b->epochs[i]) {
        port_close(in.port);
        in.port = NULL;
    }
    if (in.port == NULL) {
        device_wait_for_disk(d);
        rc = disk_open_device(d, e, &in.port);
        if (rc < 0) {
            return rc;
        }
        rc = check_compared(b, i, in.port, e);
        if (rc == 0) {
            rc = need_redir(d, b, i, in.port, e);
        }
    }
    if (rc == 0) {
        rc = disk_own(d, in.port, may_trust_cache(b, i), e);
    }
    if (rc == 0) {
        rc = BREAKPOINT("next-locked");
    }
    if (rc < 0) {
        port_close(in.port);
        return err_prefix(e, rc, "disk %s", d->cfg->name);
    }
    *ret_port = in.port;
    return 0;
}
