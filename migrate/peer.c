/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "breakpoint.h"
#include "cleanup.h"
#include "disk.h"
#include "identity.h"
#include "log.h"
#include "peer_batch.h"
#include "service.h"
#include "where.h"

static bool
is_refused(const struct record *rec, const char *uuid, uint64_t epoch)
{
    return epoch <= rec->refused_epoch && strcmp(rec->refused_uuid, uuid) == 0;
}

/* From now on, whatever crashes, a call that was delayed on its way cannot make us own
 * what its sender has taken back. A call for another disk (uuid) never can: it must not
 * use up our epochs. On failure nothing is promised. */
static int
refuse_for_good(struct service *s, const struct batch *b, struct err *e)
{
    struct record recs[GROUP_MAX_DISKS];
    struct disk *disks[GROUP_MAX_DISKS];
    bool is_committed = false;
    unsigned nr = 0;
    int rc = 0;

    for (unsigned i = 0; i < b->nr; i++) {
        struct record rec = disk_record(b->disks[i]);

        if ((rec.uuid[0] != '\0' && strcmp(rec.uuid, b->uuids[i]) != 0) ||
            is_refused(&rec, b->uuids[i], b->epochs[i])) {
            continue;
        }
        rec.refused_epoch = b->epochs[i];
        (void)snprintf(rec.refused_uuid, sizeof rec.refused_uuid, "%s", b->uuids[i]);
        disks[nr] = b->disks[i];
        recs[nr++] = rec;
    }
    if (nr > 0) {
        rc = record_commit(s->records, recs, nr, e, &is_committed);
    }
    for (unsigned i = 0; i < nr && rc == 0; i++) {
        disk_set_record(disks[i], &recs[i]);
    }
    return rc < 0 ? err_prefix(e, rc, "the refusal cannot be written down") : 0;
}

/* May this disk come to us? */
static int
check_role(struct disk *d, const char *uuid, uint64_t epoch, struct err *e)
{
    struct record rec = disk_record(d);

    if (d->service->opaque_filter[0] != '\0') {
        return err_set(e, -EINVAL,
                       "%s: %s has nbdkit's filter %s in front of its disks, and the "
                       "channel would pass it too; a layer can do without",
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
    if (is_refused(&rec, uuid, epoch)) {
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

static void
drop_incoming(struct disk *d)
{
    struct incoming in;

    lk_acquire(&d->lock);
    in = disk_locked(d)->incoming;
    disk_locked(d)->incoming = (struct incoming){0};
    lk_release(&d->lock);
    if (d->sessions != NULL) {
        session_table_expect(d->sessions, 0);
    }
    record_draft_drop(d->service->records, in.draft);
    port_close(in.port);
}

/* What assign commits. The disk has a redirector. */
static struct record
owner_record(struct disk *d, const struct batch *b, unsigned i)
{
    struct record rec = disk_next_record(d, ROLE_OWNER, b->epochs[i]);

    (void)snprintf(rec.uuid, sizeof rec.uuid, "%s", b->uuids[i]);
    (void)snprintf(rec.peer_name, sizeof rec.peer_name, "%s", b->from);
    rec.owned_since = b->epochs[i];
    rec.nr_channels = 0;
    batch_history(b, i, &rec);
    rec.info = redir_port(d->redir)->info;
    return rec;
}

/* Write it now, so that assigning is a rename. */
static int
draft_records(struct service *s, const struct batch *b, struct err *e)
{
    struct record recs[GROUP_MAX_DISKS];
    struct record_draft *draft;
    int rc;

    for (unsigned i = 0; i < b->nr; i++) {
        recs[i] = owner_record(b->disks[i], b, i);
    }
    rc = record_draft_new(s->records, recs, b->nr, e, &draft);
    if (rc == 0) {
        LK_GUARD(&b->disks[0]->lock);

        disk_locked(b->disks[0])->incoming.draft = draft;
    }
    return rc;
}

/* What draft_records() wrote, if it says the same; else NULL. */
static struct record_draft *
take_draft(struct service *s, const struct batch *b, const struct record *recs)
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

static int
prepare_one(struct disk *d, const struct batch *b, unsigned i, struct err *e,
            struct identity *ret_id)
{
    struct port_info info;
    struct port *port;
    int rc = check_role(d, b->uuids[i], b->epochs[i], e);

    if (rc == 0) {
        rc = port_info_from_json(json_object_get(b->items[i], "info"), e, &info);
    }
    if (rc < 0) {
        return rc;
    }
    drop_incoming(d);
    rc = disk_open_device(d, e, &port);
    if (rc < 0) {
        return rc;
    }
    rc = port_info_can_replace(&info, &port->info, e);
    if (rc < 0) {
        (void)err_prefix(e, rc, "%s: the device of %s", d->cfg->name,
                         d->service->cfg->name);
    } else {
        rc = identity_take(port, e, ret_id);
    }
    if (rc == 0) {
        rc = disk_need_redir(d, &info, e);
    }
    if (rc == 0) { /* our clients may have been promised something else, long ago */
        rc = disk_can_take(d, port, e);
    }
    if (rc < 0) {
        port_close(port);
        return rc;
    }
    lk_acquire(&d->lock);
    disk_locked(d)->incoming = (struct incoming){.port = port, .epoch = b->epochs[i]};
    (void)snprintf(disk_locked(d)->incoming.uuid, 37, "%s", b->uuids[i]);
    lk_release(&d->lock);
    session_table_expect(d->sessions, b->epochs[i]);
    return BREAKPOINT("next-opened");
}

int
peer_prepare(void *service, struct rpc_call *call, json_t *params, struct err *e,
             json_t **ret_result)
{
    struct service *s = service;
    json_t *disks;
    struct batch b;
    int rc = batch_parse(s, params, e, &b);

    (void)call;
    if (rc == 0) {
        rc = batch_claim(&b, e);
    }
    if (rc < 0) {
        return rc;
    }
    (void)BREAKPOINT("next-preparing");
    rc = record_settle(s->records, e); /* now, and not when we are assigned */
    disks = json_array();
    for (unsigned i = 0; i < b.nr && rc == 0; i++) {
        struct identity id;

        rc = prepare_one(b.disks[i], &b, i, e, &id);
        if (rc == 0) {
            (void)json_array_append_new(disks, identity_to_json(&id));
        }
    }
    if (rc == 0) {
        rc = draft_records(s, &b, e);
    }
    for (unsigned i = 0; i < b.nr && rc < 0; i++) {
        drop_incoming(b.disks[i]);
    }
    batch_unclaim(&b);
    if (rc < 0) {
        json_decref(disks);
        return rc;
    }
    *ret_result = json_pack("{s:s,s:o,s:o}", "service", s->cfg->name, "channels",
                            where_channels(s->cfg), "disks", disks);
    (void)BREAKPOINT("next-prepared");
    return 0;
}

int
peer_cancel(void *service, struct rpc_call *call, json_t *params, struct err *e,
            json_t **ret_result)
{
    struct batch b;
    int rc = batch_parse(service, params, e, &b);

    (void)call;
    *ret_result = NULL;
    if (rc == 0) {
        rc = batch_claim(&b, e);
    }
    if (rc < 0) {
        return rc;
    }
    for (unsigned i = 0; i < b.nr; i++) {
        bool is_this;

        lk_acquire(&b.disks[i]->lock);
        is_this = disk_locked(b.disks[i])->incoming.epoch == b.epochs[i];
        lk_release(&b.disks[i]->lock);
        if (is_this) {
            drop_incoming(b.disks[i]);
        }
    }
    batch_unclaim(&b);
    (void)BREAKPOINT("next-cancelled");
    return 0;
}

/* Does the page cache of this host hold what the last owner wrote? */
static bool
is_same_host(const struct batch *b)
{
    char mine[37];

    identity_boot_id(mine);
    return mine[0] != '\0' && strcmp(mine, b->boot_id) == 0;
}

/* The device that PREPARE opened, or one opened now: we may have been restarted since.
 */
static int
take_device(struct disk *d, const struct batch *b, unsigned i, struct err *e,
            struct port **ret_port)
{
    struct incoming in;
    int rc = 0;

    lk_acquire(&d->lock);
    in = disk_locked(d)->incoming;
    disk_locked(d)->incoming.port = NULL;
    lk_release(&d->lock);
    if (in.port != NULL && in.epoch != b->epochs[i]) {
        port_close(in.port);
        in.port = NULL;
    }
    if (in.port == NULL) {
        rc = disk_open_device(d, e, &in.port);
        if (rc == 0) {
            rc = disk_need_redir(d, &in.port->info, e);
        }
    }
    if (rc == 0) {
        rc = disk_can_take(d, in.port, e);
    }
    if (rc == 0) {
        if (!d->cfg->is_nbd) {
            port_file_trust_cache(in.port, is_same_host(b));
        }
        rc = port_own(in.port, e);
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

/* A standby was no owner at epoch, unless it was superseded later. */
static bool
is_never_owned(const struct record *rec, uint64_t epoch)
{
    return rec->role == ROLE_STANDBY && rec->superseded < epoch;
}

/* Already ours at these epochs: a call that is repeated because its answer was lost. */
static bool
is_assigned(const struct batch *b)
{
    for (unsigned i = 0; i < b->nr; i++) {
        struct record rec = disk_record(b->disks[i]);

        /* Given on or parked since: it was ours, and the caller is behind. */
        if (rec.epoch < b->epochs[i] || is_never_owned(&rec, b->epochs[i]) ||
            (rec.epoch == b->epochs[i] && rec.role != ROLE_OWNER) ||
            strcmp(rec.uuid, b->uuids[i]) != 0) {
            return false;
        }
    }
    return true;
}

static int
take_all(const struct batch *b, struct port **ports, struct record *recs, struct err *e)
{
    unsigned nr = 0;
    int rc = 0;

    for (; nr < b->nr && rc == 0; nr++) {
        rc = check_role(b->disks[nr], b->uuids[nr], b->epochs[nr], e);
        if (rc == 0) {
            rc = take_device(b->disks[nr], b, nr, e, &ports[nr]);
        }
        if (rc == 0) {
            recs[nr] = owner_record(b->disks[nr], b, nr);
        }
    }
    for (unsigned i = 0; i < nr && rc < 0; i++) {
        port_close(ports[i]);
    }
    return rc;
}

static void
serve_all(const struct batch *b, struct port **ports, const struct record *recs,
          bool is_rec_ahead)
{
    for (unsigned i = 0; i < b->nr; i++) {
        disk_set_record(b->disks[i], &recs[i]);
        lk_acquire(&b->disks[i]->lock);
        disk_locked(b->disks[i])->is_rec_ahead = is_rec_ahead;
        lk_release(&b->disks[i]->lock);
        disk_assign(b->disks[i], ports[i]);
        (void)BREAKPOINT("next-opening");
    }
}

static bool
is_behind(const struct batch *b)
{
    bool is_ahead = false;

    for (unsigned i = 0; i < b->nr && !is_ahead; i++) {
        LK_GUARD(&b->disks[i]->lock);

        is_ahead = disk_locked(b->disks[i])->is_rec_ahead;
    }
    return is_ahead;
}

/* The records of disks that we serve already. Until they are durable nobody is told
 * that we own them, and who gave them to us goes on asking: should we forget it in a
 * crash, it tells us again. */
static int
make_durable(struct service *s, const struct batch *b, struct record_draft *draft,
             struct err *e)
{
    struct record recs[GROUP_MAX_DISKS];
    bool is_committed = false;
    int rc;

    for (unsigned i = 0; i < b->nr; i++) {
        recs[i] = disk_record(b->disks[i]);
    }
    rc = draft != NULL ? record_draft_commit(s->records, draft, e, &is_committed)
                       : record_commit(s->records, recs, b->nr, e, &is_committed);
    if (rc < 0) { /* a record that a power cut may take back is not enough */
        log_warn("%s is served here, but its record cannot be written: %s",
                 b->disks[0]->cfg->name, err_text(e, rc));
        return rc;
    }
    (void)BREAKPOINT("next-owned");
    for (unsigned i = 0; i < b->nr; i++) {
        LK_GUARD(&b->disks[i]->lock);

        disk_locked(b->disks[i])->is_rec_ahead = false;
    }
    return 0;
}

/* Without a draft the record can be refused by its folder, so it comes first. With one
 * only the rename is left; it may come after the gate is open, since the giver's
 * durable record says whose the disk is. */
static int
own_all(struct service *s, const struct batch *b, struct rpc_call *call, struct err *e)
{
    struct port *ports[GROUP_MAX_DISKS] = {NULL};
    struct record recs[GROUP_MAX_DISKS];
    struct record_draft *draft;
    bool is_committed = false;
    int rc = take_all(b, ports, recs, e);

    if (rc < 0) {
        return rc;
    }
    draft = take_draft(s, b, recs);
    if (draft == NULL) {
        rc = record_commit(s->records, recs, b->nr, e, &is_committed);
        if (rc < 0 && !is_committed) {
            for (unsigned i = 0; i < b->nr; i++) {
                port_close(ports[i]);
            }
            return rc;
        }
    }
    serve_all(b, ports, recs, draft != NULL);
    if (draft != NULL) {
        rpc_notify(call, "assigned", json_object());
        (void)BREAKPOINT("next-serving");
        rc = make_durable(s, b, draft, e);
    }
    log_info("owner of %s%s now, at epoch %" PRIu64 ", from %s", b->disks[0]->cfg->name,
             b->nr > 1 ? " and others" : "", b->epochs[0], b->from);
    return rc < 0 && draft != NULL ? -EINPROGRESS : 0;
}

static int
refuse(struct service *s, const struct batch *b, const struct err *why, struct err *e,
       json_t **ret_result)
{
    int rc;

    for (unsigned i = 0; i < b->nr; i++) {
        drop_incoming(b->disks[i]);
    }
    rc = refuse_for_good(s, b, e);
    if (rc < 0) {
        return err_prefix(e, rc, "%s", why->msg);
    }
    log_warn("refused %s from %s: %s", b->disks[0]->cfg->name, b->from, why->msg);
    *ret_result = json_pack("{s:b,s:s}", "assigned", 0, "reason", why->msg);
    (void)BREAKPOINT("next-refused");
    return 0;
}

/* Own them, or refuse them for good. When neither can be written down nothing is
 * promised, and the caller asks again. */
static int
assign_or_refuse(struct service *s, const struct batch *b, struct rpc_call *call,
                 struct err *e, json_t **ret_result)
{
    struct err why = {0};
    int rc = own_all(s, b, call, &why);

    if (rc == -EINPROGRESS) { /* served, but not durably ours */
        *e = why;
        return rc;
    }
    if (rc < 0) {
        return refuse(s, b, &why, e, ret_result);
    }
    *ret_result = json_pack("{s:b}", "assigned", 1);
    (void)BREAKPOINT("next-assigned");
    return 0;
}

int
peer_assign(void *service, struct rpc_call *call, json_t *params, struct err *e,
            json_t **ret_result)
{
    struct service *s = service;
    struct batch b;
    int rc = batch_parse(s, params, e, &b);

    if (rc < 0) {
        return rc;
    }
    (void)BREAKPOINT("next-assigning");
    /* Asked without the claim: when the caller, restarted, asks for what we own and are
     * just handing back to it, each side would wait for the other's claim for ever. */
    if (is_assigned(&b) && !is_behind(&b)) {
        *ret_result = json_pack("{s:b}", "assigned", 1);
        return 0;
    }
    rc = batch_claim(&b, e);
    if (rc < 0) {
        return rc; /* promises nothing: the same call may be running already */
    }
    if (is_assigned(&b)) { /* it was running, and has ended */
        rc = is_behind(&b) ? make_durable(s, &b, NULL, e) : 0;
        *ret_result = rc == 0 ? json_pack("{s:b}", "assigned", 1) : NULL;
    } else {
        rc = assign_or_refuse(s, &b, call, e, ret_result);
    }
    batch_unclaim(&b);
    return rc;
}

int
peer_ping(void *service, struct rpc_call *call, json_t *params, struct err *e,
          json_t **ret_result)
{
    (void)service;
    (void)call;
    (void)params;
    (void)e;
    *ret_result = NULL;
    return 0;
}
