/* SPDX-License-Identifier: BSD-3-Clause */
/* The next owner's part of ASSIGN. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breakpoint.h"
#include "cleanup.h"
#include "device_check.h"
#include "disk.h"
#include "disk_ownership.h"
#include "log.h"
#include "service.h"
#include "takeover.h"
#include "takeover_batch.h"
#include "takeover_incoming.h"

/* From now on, whatever crashes, a call that was delayed on its way cannot make us own
 * what its sender has taken back. A call for another disk (uuid) never can: it must not
 * use up our epochs. On failure nothing is promised. */
static int
refuse_for_good(struct service *s, const struct batch *b, struct err *e)
{
    AUTO_FREE struct record *recs = NULL;
    struct disk *disks[GROUP_MAX_DISKS];
    bool is_committed = false;
    unsigned nr = 0;
    int rc = 0;

    assert(b->nr > 0); /* a call that names no disk is refused */
    recs = calloc(b->nr, sizeof *recs);
    if (recs == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    for (unsigned i = 0; i < b->nr; i++) {
        struct record rec = disk_record(b->disks[i]);

        if ((rec.uuid[0] != '\0' && strcmp(rec.uuid, b->uuids[i]) != 0) ||
            takeover_incoming_is_refused(&rec, b->uuids[i], b->epochs[i])) {
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

/* A standby was no owner at epoch, unless it was superseded later. */
static bool
is_never_owned(const struct record *rec, uint64_t epoch)
{
    return rec->role == ROLE_STANDBY && rec->superseded < epoch;
}

/* Already ours at its epoch: a call that is repeated because its answer was lost. */
static bool
is_one_assigned(const struct batch *b, unsigned i)
{
    struct record rec = disk_record(b->disks[i]);

    /* Given on or parked since: it was ours, and the caller is behind. */
    return rec.epoch >= b->epochs[i] && !is_never_owned(&rec, b->epochs[i]) &&
           (rec.epoch != b->epochs[i] || rec.role == ROLE_OWNER) &&
           strcmp(rec.uuid, b->uuids[i]) == 0;
}

/* Those that are not. Fewer than all of them: the caller could ask for a part only,
 * when it was restarted and another part was in trouble (mend.h). */
static struct batch
not_assigned(const struct batch *b)
{
    struct batch rest = *b;

    rest.nr = 0;
    for (unsigned i = 0; i < b->nr; i++) {
        if (!is_one_assigned(b, i)) {
            rest.disks[rest.nr] = b->disks[i];
            rest.uuids[rest.nr] = b->uuids[i];
            rest.epochs[rest.nr] = b->epochs[i];
            rest.rights[rest.nr] = b->rights[i];
            rest.flushed_by[rest.nr] = b->flushed_by[i];
            rest.is_unflushed[rest.nr] = b->is_unflushed[i];
            rest.items[rest.nr++] = b->items[i];
        }
    }
    return rest;
}

static bool
is_assigned(const struct batch *b)
{
    return not_assigned(b).nr == 0;
}

static int
take_all(const struct batch *b, struct port **ports, struct record *recs, struct err *e)
{
    unsigned nr = 0;
    int rc = 0;

    for (; nr < b->nr && rc == 0; nr++) {
        rc = takeover_incoming_check(b->disks[nr], b->uuids[nr], b->epochs[nr], e);
        if (rc == 0) {
            rc = takeover_incoming_take_device(b->disks[nr], b, nr, e, &ports[nr]);
        }
        if (rc == 0) {
            recs[nr] = takeover_incoming_record(b->disks[nr], b, nr);
        }
    }
    for (unsigned i = 0; i < nr && rc < 0; i++) {
        port_close(ports[i]);
    }
    return rc;
}

static void
close_all(const struct batch *b, struct port **ports)
{
    for (unsigned i = 0; i < b->nr; i++) {
        port_close(ports[i]); /* NULL is accepted */
    }
}

/* In ports are the devices, and then what they have replaced. */
static void
take_over_all(const struct batch *b, struct port **ports, const struct record *recs,
              bool is_rec_ahead)
{
    for (unsigned i = 0; i < b->nr; i++) {
        lk_acquire(&b->disks[i]->lock); /* both at once: is_assigned() may be asked */
        disk_locked(b->disks[i])->rec = recs[i];
        disk_locked(b->disks[i])->is_rec_ahead = is_rec_ahead;
        lk_release(&b->disks[i]->lock);
        ports[i] = disk_take_over(b->disks[i], ports[i]);
    }
}

/* Opening a gate wakes every request that waits there, and they may take the processor
 * from this thread: so who waits for us has been told before. */
static void
open_all(const struct batch *b)
{
    for (unsigned i = 0; i < b->nr; i++) {
        disk_open_gate(b->disks[i]);
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
             const struct record *recs, struct err *e)
{
    bool is_committed = false;
    int rc;

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

/* The same when we are asked again. */
static int
catch_up(struct service *s, const struct batch *b, struct err *e)
{
    AUTO_FREE struct record *recs = calloc(b->nr, sizeof *recs);

    if (recs == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    for (unsigned i = 0; i < b->nr; i++) {
        recs[i] = disk_record(b->disks[i]);
    }
    return make_durable(s, b, NULL, recs, e);
}

/* Without a draft the record can be refused by its folder, so it comes first. With one
 * only the rename is left; it may come after the gate is open, since the giver's
 * durable record says whose the disk is. Not if the giver would miss what is
 * acknowledged meanwhile, should we forget that. */
static int
own_all(struct service *s, const struct batch *b, struct rpc_call *call, struct err *e)
{
    struct port *ports[GROUP_MAX_DISKS] = {NULL};
    AUTO_FREE struct record *recs = calloc(b->nr, sizeof *recs);
    struct record_draft *draft;
    bool is_committed = false;
    int rc;

    if (recs == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    rc = take_all(b, ports, recs, e);
    if (rc < 0) {
        return rc;
    }
    draft = takeover_incoming_take_draft(s, b, recs);
    if (draft == NULL || !takeover_incoming_may_be_forgotten(b)) {
        rc = draft != NULL
                 ? record_draft_commit(s->records, TAKE(draft), e, &is_committed)
                 : record_commit(s->records, recs, b->nr, e, &is_committed);
        if (rc < 0 && !is_committed) {
            close_all(b, ports);
            return rc;
        }
        (void)BREAKPOINT("next-owned");
    }
    take_over_all(b, ports, recs, draft != NULL || rc < 0);
    if (draft != NULL) {
        rpc_notify(call, "assigned", json_object());
    }
    open_all(b);
    rpc_set_urgency(call, URGENCY_CONTROL); /* who waited comes first now */
    if (draft != NULL) {
        (void)BREAKPOINT("next-serving");
        rc = make_durable(s, b, draft, recs, e);
    }
    for (unsigned i = 0; i < b->nr; i++) {
        device_remember(b->disks[i]);
    }
    if (rc == 0) { /* else the next handoff would have to, in its stall */
        struct err ignored;

        (void)record_settle(s->records, &ignored); /* the next commit does it then */
    }
    close_all(b, ports);
    log_info("owner of %s%s now, at epoch %" PRIu64 ", from %s", b->disks[0]->cfg->name,
             b->nr > 1 ? " and others" : "", b->epochs[0], b->from);
    return rc < 0 ? -EINPROGRESS : 0; /* also when only the fsync failed */
}

static int
refuse(struct service *s, const struct batch *b, const struct err *why, struct err *e,
       json_t **ret_result)
{
    int rc;

    for (unsigned i = 0; i < b->nr; i++) {
        takeover_incoming_drop(b->disks[i]);
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

/* A refusal would be taken for one of all disks, and of others it is not true: they are
 * ours, or were. So own those that are left, or promise nothing. */
static int
assign_rest(struct service *s, const struct batch *rest, struct rpc_call *call,
            struct err *e)
{
    int rc = own_all(s, rest, call, e);

    if (rc < 0 && rc != -EINPROGRESS) {
        for (unsigned i = 0; i < rest->nr; i++) {
            takeover_incoming_drop(rest->disks[i]);
        }
        log_warn("%s, which %s gave with others that are owned here, is not owned yet: "
                 "%s",
                 rest->disks[0]->cfg->name, rest->from, err_text(e, rc));
    }
    return rc;
}

/* b is claimed. */
static int
assign(struct service *s, const struct batch *b, struct rpc_call *call, struct err *e,
       json_t **ret_result)
{
    const struct batch rest = not_assigned(b);
    int rc = 0;

    if (rest.nr == b->nr) {
        return assign_or_refuse(s, b, call, e, ret_result);
    }
    if (rest.nr > 0) {
        rc = assign_rest(s, &rest, call, e);
    } /* else it was running, and has ended */
    if (rc == 0 && is_behind(b)) {
        rc = catch_up(s, b, e);
    }
    *ret_result = rc == 0 ? json_pack("{s:b}", "assigned", 1) : NULL;
    return rc;
}

int
takeover_assign(void *service, struct rpc_call *call, json_t *params, struct err *e,
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
    rc = batch_claim(&b, 0, e);
    if (rc < 0) {
        return rc; /* promises nothing: the same call may be running already */
    }
    rc = assign(s, &b, call, e, ret_result);
    batch_unclaim(&b);
    rpc_set_urgency(call, URGENCY_CONTROL);
    return rc;
}
