/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "breakpoint.h"
#include "clock.h"
#include "device_wait.h"
#include "disk.h"
#include "disk_durability.h"
#include "identity.h"
#include "load.h"
#include "owner_find.h"
#include "service.h"
#include "takeover.h"
#include "takeover_batch.h"
#include "takeover_incoming.h"

/* Requests flow while a next owner is asked. Who was just started may be telling us
 * that we own the disk; that ends in a moment, and is no reason to refuse. */
#define BUSY_NS (2 * NS_PER_S)

/* May port be the disk's device, by what its clients were promised? */
static int
look_at_device(struct disk *d, struct port *port, const struct port_info *promised,
               struct err *e, struct identity *ret_id)
{
    int rc = port_info_can_replace(promised, &port->info, e);

    if (rc < 0) {
        return err_prefix(e, rc, "%s: the device of %s", d->cfg->name,
                          d->service->cfg->name);
    }
    rc = identity_take(port, promised, e, ret_id);
    if (rc < 0) {
        return rc;
    }
    rc = disk_need_redir(d, promised, e);
    if (rc < 0) {
        return rc;
    }
    rc = disk_has_size(d, promised->size, e);
    if (rc < 0) {
        return rc;
    }
    return disk_can_take(d, port, e); /* our clients may have been promised something
                                       * else, long ago */
}

static int
check_call(struct disk *d, const struct batch *b, unsigned i, struct err *e,
           struct port_info *ret_promised)
{
    int rc = takeover_incoming_check(d, b->uuids[i], b->epochs[i], e);

    if (rc < 0) {
        return rc;
    }
    rc = identity_info_from_json(json_object_get(b->items[i], "info"), e, ret_promised);
    if (rc < 0) {
        return rc;
    }
    if (b->rights[i][0] == '\0') {
        return err_set(e, -EINVAL,
                       "%s: %s runs an older program, which names no right of its "
                       "channels; restart it with this program first",
                       d->cfg->name, b->from);
    }
    return 0;
}

static int
prepare_one(struct disk *d, const struct batch *b, unsigned i, struct err *e,
            struct identity *ret_id)
{
    struct port_info promised;
    struct port *port;
    int rc = check_call(d, b, i, e, &promised);

    if (rc < 0) {
        return rc;
    }
    takeover_incoming_drop(d);
    device_wait_for_disk(d);
    rc = disk_open_device(d, e, &port);
    if (rc < 0) {
        return rc;
    }
    rc = look_at_device(d, port, &promised, e, ret_id);
    if (rc < 0) {
        port_close(port);
        return rc;
    }
    lk_acquire(&d->lock);
    disk_locked(d)->incoming = (struct incoming){.port = port, .epoch = b->epochs[i]};
    (void)snprintf(disk_locked(d)->incoming.uuid, 37, "%s", b->uuids[i]);
    (void)snprintf(disk_locked(d)->incoming.right, CHANNEL_RIGHT_SIZE, "%s",
                   b->rights[i]);
    lk_release(&d->lock);
    session_table_expect(d->sessions, b->epochs[i]);
    lease_adopt(d, json_object_get(b->items[i], "leases"));
    return BREAKPOINT("next-opened");
}

/* `instance` says who can flush what the giver leaves; older services do not say it. */
static json_t *
describe(struct disk *d, const struct identity *id)
{
    json_t *item = identity_to_json(id);
    char instance[CHANNEL_INSTANCE_MAX];

    disk_instance(d, instance);
    (void)json_object_set_new(item, "instance", json_string(instance));
    return item;
}

/* A service that reaches itself by another name finds its own claim. */
static int
explain_busy(const struct batch *b, struct err *e)
{
    struct err owned = {{0}};

    for (unsigned i = 0; i < b->nr; i++) {
        if (takeover_incoming_check(b->disks[i], b->uuids[i], b->epochs[i], &owned) ==
            -EEXIST) {
            return err_set(e, -EEXIST, "%s", owned.msg);
        }
    }
    return -EBUSY;
}

/* Each of the disks, and a draft of their records. On failure some may be prepared. */
static int
prepare_all(struct service *s, const struct batch *b, struct err *e, json_t *disks)
{
    int rc = record_settle(s->records, e); /* now, and not when we are assigned */

    if (rc < 0) {
        return rc;
    }
    for (unsigned i = 0; i < b->nr; i++) {
        struct identity id;

        rc = prepare_one(b->disks[i], b, i, e, &id);
        if (rc < 0) {
            return rc;
        }
        (void)json_array_append_new(disks, describe(b->disks[i], &id));
    }
    return takeover_incoming_draft(s, b, e);
}

int
takeover_prepare(void *service, struct rpc_call *call, json_t *params, struct err *e,
                 json_t **ret_result)
{
    struct service *s = service;
    struct load before, now;
    json_t *disks;
    struct batch b;
    int rc = batch_parse(s, params, e, &b);

    rpc_set_urgency(call, URGENCY_CONTROL); /* after one that was given up, too */
    if (rc < 0) {
        return rc;
    }
    rc = batch_claim(&b, clock_deadline_ns(BUSY_NS), e);
    if (rc < 0) {
        return rc == -EBUSY ? explain_busy(&b, e) : rc;
    }
    load_look(b.disks, b.nr, &before);
    (void)BREAKPOINT("next-preparing");
    disks = json_array();
    rc = prepare_all(s, &b, e, disks);
    if (rc < 0) {
        for (unsigned i = 0; i < b.nr; i++) {
            takeover_incoming_drop(b.disks[i]);
        }
        batch_unclaim(&b);
        json_decref(disks);
        return rc;
    }
    batch_unclaim(&b);
    load_look(b.disks, b.nr, &now);
    *ret_result = json_pack("{s:s,s:o,s:o,s:b,s:I,s:I}", "service", s->cfg->name,
                            "channels", owner_find_channels(s->cfg), "disks", disks,
                            "pause", load_has_requests(&before, &now), "drain_us",
                            (json_int_t)(load_drain_ns(&before, &now) / NS_PER_US),
                            "in_flight", (json_int_t)now.in_flight);
    (void)BREAKPOINT("next-prepared");
    rpc_set_urgency(call, URGENCY_STALL); /* peer.assign comes this way */
    return 0;
}

static bool
is_prepared_at(struct disk *d, uint64_t epoch)
{
    LK_GUARD(&d->lock);

    return disk_locked(d)->incoming.epoch == epoch;
}

int
takeover_cancel(void *service, struct rpc_call *call, json_t *params, struct err *e,
                json_t **ret_result)
{
    struct batch b;
    int rc = batch_parse(service, params, e, &b);

    rpc_set_urgency(call, URGENCY_CONTROL); /* nothing is going to be assigned */
    *ret_result = NULL;
    if (rc < 0) {
        return rc;
    }
    rc = batch_claim(&b, 0, e);
    if (rc < 0) {
        return rc;
    }
    for (unsigned i = 0; i < b.nr; i++) {
        if (is_prepared_at(b.disks[i], b.epochs[i])) {
            takeover_incoming_drop(b.disks[i]);
        }
    }
    batch_unclaim(&b);
    (void)BREAKPOINT("next-cancelled");
    return 0;
}

int
takeover_ping(void *service, struct rpc_call *call, json_t *params, struct err *e,
              json_t **ret_result)
{
    (void)service;
    (void)call;
    (void)params;
    (void)e;
    *ret_result = NULL;
    return 0;
}
