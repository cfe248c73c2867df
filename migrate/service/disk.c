/* SPDX-License-Identifier: BSD-3-Clause */
#include "disk.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "disk_durability.h"
#include "identity.h"
#include "log.h"
#include "port_channel.h"
#include "port_file.h"
#include "port_nbd.h"
#include "service.h"

int
disk_init(struct disk *d, struct service *s, const struct disk_config *cfg)
{
    memset(d, 0, sizeof *d);
    d->service = s;
    d->cfg = cfg;
    d->locked_.rec.role = ROLE_STANDBY; /* until there is a record: nothing is ours */
    flusher_init(&d->flusher);
    vm_presence_init(&d->presence);
    writers_init(&d->writers);
    vm_conns_init(&d->conns);
    leases_open(d);
    lk_init(&d->build_lock);
    lk_init(&d->lock);
    cv_init(&d->changed);
    return 0;
}

/* The thread that asks for the owner uses d until it has ended. */
static void
await_search(struct disk *d)
{
    LK_GUARD(&d->lock);

    while (disk_locked(d)->is_searching) {
        (void)cv_wait_until(&d->changed, &d->lock, CLOCK_NEVER); /* it is bounded */
    }
}

void
disk_done(struct disk *d)
{
    await_search(d);
    flusher_done(&d->flusher);
    vm_presence_done(&d->presence);
    vm_conns_done(&d->conns);
    writers_done(&d->writers);
    leases_close(d);
    stack_close(d->stack);
    session_table_free(d->sessions);
    redir_free(disk_redir(d));
    if (d->locked_.incoming.draft != NULL) {
        record_draft_drop(d->service->records, d->locked_.incoming.draft);
    }
    port_close(d->locked_.incoming.port);
    cv_done(&d->changed);
    lk_done(&d->lock);
    lk_done(&d->build_lock);
}

bool
disk_has_uuid(struct disk *d, const char *uuid)
{
    LK_GUARD(&d->lock);

    return strcmp(disk_locked(d)->rec.uuid, uuid) == 0 ||
           strcmp(disk_locked(d)->incoming.uuid, uuid) == 0;
}

struct record
disk_record(struct disk *d)
{
    LK_GUARD(&d->lock);

    return disk_locked(d)->rec;
}

/* The device's server was lost, or is back (NULL). */
static void
told_of_device(void *opaque, const char *text)
{
    struct disk *d = opaque;

    lk_acquire(&d->lock);
    (void)snprintf(disk_locked(d)->device_lost, sizeof disk_locked(d)->device_lost,
                   "%s", text != NULL ? text : "");
    lk_release(&d->lock);
    if (text != NULL) {
        log_warn("%s: %s", d->cfg->name, text);
    } else {
        log_info("%s: the server of its device is back, and was sent again what it "
                 "had not answered",
                 d->cfg->name);
    }
}

/* Of a port before. */
static void
forget_device_lost(struct disk *d)
{
    LK_GUARD(&d->lock);

    disk_locked(d)->device_lost[0] = '\0';
}

void
disk_device_lost(struct disk *d, char *text)
{
    struct err ignored = {0};
    struct redir_status st;

    text[0] = '\0';
    if (!d->cfg->is_nbd || disk_redir(d) == NULL || disk_record(d).role != ROLE_OWNER) {
        return;
    }
    if (disk_claim_record(d, &ignored) == 0) { /* so port A stays */
        redir_status(disk_redir(d), &st);
        if (st.side == REDIR_LOCAL && redir_active(disk_redir(d)) != NULL) {
            port_nbd_look(redir_active(disk_redir(d)));
        }
        disk_unclaim_record(d);
    }
    LK_GUARD(&d->lock);

    memcpy(text, disk_locked(d)->device_lost, SEARCH_TEXT);
}

int
disk_open_device(struct disk *d, struct err *e, struct port **ret_port)
{
    const struct disk_config *c = d->cfg;
    int rc;

    if (c->is_nbd) {
        const struct port_nbd_opts nbd = {.uri = c->device,
                                          .readonly = c->readonly,
                                          .connections = c->connections,
                                          .reconnects = c->reconnects,
                                          .told = told_of_device,
                                          .told_opaque = d};

        forget_device_lost(d);
        rc = port_nbd_open(&nbd, e, ret_port);
    } else {
        const struct port_file_opts opts = {.cache = c->cache, .readonly = c->readonly};

        rc = port_file_open(c->device, &opts, e, ret_port);
    }
    return rc < 0 ? err_prefix(e, rc, "disk %s", c->name) : 0;
}

int
disk_own(struct disk *d, struct port *port, bool trusts_cache, struct err *e)
{
    int rc = disk_can_take(d, port, e);

    if (rc < 0) {
        return rc;
    }
    if (!d->cfg->is_nbd) {
        port_file_trust_cache(port, trusts_cache);
    }
    return port_own(port, e);
}

int
disk_need_redir(struct disk *d, const struct port_info *info, struct err *e)
{
    struct redir *r = disk_redir(d);
    int rc;

    if (r != NULL) {
        return 0;
    }
    rc = redir_new(d->cfg->name, info, d->cfg->fail_after_ns, &r);
    if (rc == 0) {
        rc = session_table_new(d->cfg->name, r, &d->sessions);
        if (rc < 0) {
            redir_free(r);
        }
    }
    if (rc < 0) {
        return err_set(e, rc, "disk %s: out of memory", d->cfg->name);
    }
    atomic_store_explicit(&d->redir, r, memory_order_release);
    return 0;
}

int
disk_can_take(struct disk *d, const struct port *port, struct err *e)
{
    int rc = port_info_can_replace(&redir_port(d->redir)->info, &port->info, e);

    return rc < 0 ? err_prefix(e, rc, "disk %s: the device", d->cfg->name) : 0;
}

int
disk_has_size(struct disk *d, uint64_t size, struct err *e)
{
    uint64_t mine = redir_port(d->redir)->info.size;

    return size == mine
               ? 0
               : err_set(e, -EINVAL,
                         "disk %s: its size is %" PRIu64 " bytes here, not %" PRIu64,
                         d->cfg->name, mine, size);
}

struct record
disk_next_record(struct disk *d, enum role role, uint64_t epoch)
{
    struct record rec = disk_record(d);

    (void)snprintf(rec.name, sizeof rec.name, "%s", d->cfg->name);
    (void)snprintf(rec.vm, sizeof rec.vm, "%s", d->cfg->vm);
    rec.role = role;
    rec.epoch = epoch;
    rec.handoff = 0;
    rec.is_learned = false;
    rec.superseded = 0;
    rec.flushed_by[0] = '\0'; /* only peer.assign knows */
    rec.has_parked = false;
    rec.right[0] = '\0';
    if (role == ROLE_OWNER || role == ROLE_GIVEN) {
        channel_right_new(
            rec.right); /* a caller that was told one puts that in its place */
    }
    return rec;
}

void
disk_set_record(struct disk *d, const struct record *rec)
{
    LK_GUARD(&d->lock);

    disk_locked(d)->rec = *rec;
}

static bool
has_vm(void *opaque, uint64_t vm)
{
    return vm_conns_has(opaque, vm);
}

int
disk_new_channel(struct disk *d, const struct record *rec, struct err *e,
                 struct port **ret_port)
{
    char here[37];
    struct port_channel_opts opts = {
        .nr_uris = rec->nr_channels,
        .lanes = d->cfg->connections,
        .clients = &d->nr_vms,
        .uuid = rec->uuid,
        .epoch = rec->epoch,
        .right = rec->right,
        .client = record_dir_service_id(d->service->records),
        .next_link = &d->service->next_number,
        .info = redir_port(d->redir)->info,
        .durability = d->cfg->durability,
        .here = here,
        .unflushed = &d->kept,
        .moved = d->service->moved,
        .moved_opaque = d,
        .has_vm = has_vm,
        .has_vm_opaque = &d->conns,
    };

    identity_boot_id(here);
    for (unsigned i = 0; i < rec->nr_channels && i < CHANNEL_MAX_URIS; i++) {
        opts.uris[i] = rec->channels[i];
    }
    if (port_channel_new(&opts, ret_port) < 0) {
        return err_set(e, -ENOMEM, "disk %s: no memory for a channel", d->cfg->name);
    }
    return 0;
}
