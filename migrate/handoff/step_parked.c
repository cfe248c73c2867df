/* SPDX-License-Identifier: BSD-3-Clause */
/* Disks that are parked, and handed on from there. The device may have been moved to
 * where the next owner is meanwhile: everything that needed it was done when the disk
 * was parked, and what it was like is in the record since then. */
#include "step_parked.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "breakpoint.h"
#include "clock.h"
#include "disk_durability.h"
#include "disk_ownership.h"
#include "log.h"

void
step_parked_remember(struct job *j)
{
    for (unsigned i = 0; i < j->nr; i++) {
        struct disk *d = j->disks[i];
        struct record *r = &j->next[i];
        struct err e = {0};
        int rc = identity_take(redir_active(d->redir), &r->info, &e, &r->parked);

        r->has_parked = rc == 0;
        if (rc < 0) {
            log_warn("%s is parked, but can be handed on only while %s is here, "
                     "because it could not be described: %s",
                     d->cfg->name, d->cfg->device, err_text(&e, rc));
            continue;
        }
        r->parked.info = r->info; /* see look_at_all() */
        disk_instance(d, r->flushed_by);
    }
}

static int
can_unpark(struct disk *d, struct err *e)
{
    char mine[IDENTITY_DEVICE_LEN] = "", there[IDENTITY_DEVICE_LEN] = "";
    struct port *port = NULL;
    int rc = disk_open_device(d, e, &port);

    if (rc == 0) {
        rc = disk_can_take(d, port, e);
    }
    if (rc == 0) {
        (void)port_identify(redir_active(d->redir), mine, sizeof mine);
        (void)port_identify(port, there, sizeof there); /* "" proves nothing */
        if (identity_proves_two(mine, there)) {
            rc = err_set(e, -EINVAL, "%s is another device now: %s, not %s",
                         d->cfg->device, there, mine);
        }
    }
    port_close(port);
    return rc;
}

int
step_parked_can_unpark(struct job *j, struct err *e)
{
    for (unsigned i = 0; i < j->nr; i++) {
        struct disk *d = j->disks[i];
        int rc = d->cfg->is_nbd ? 0 : can_unpark(d, e);

        if (rc < 0) {
            return err_prefix(e, rc, "%s could not be unparked here", d->cfg->name);
        }
    }
    return 0;
}

/* A record without it: the device tells, if it is here. */
static int
look_at_device(struct disk *d, struct err *e, struct identity *ret_id)
{
    struct port *port = NULL;
    int rc = disk_open_device(d, e, &port);

    if (rc == 0) {
        rc = disk_can_take(d, port, e);
    }
    if (rc == 0) {
        rc = identity_take(port, &redir_port(d->redir)->info, e, ret_id);
    }
    port_close(port);
    return rc < 0 ? err_prefix(e, rc,
                               "it is not known what the device was like when it was "
                               "parked, so the device is needed here")
                  : 0;
}

int
step_parked_recall(struct job *j, struct err *e)
{
    for (unsigned i = 0; i < j->nr; i++) {
        struct disk *d = j->disks[i];
        struct record rec = disk_record(d), *r = &j->next[i];
        uint64_t kept = disk_nr_kept(d);
        int rc = 0;

        if (kept > 0) { /* see step_parked_again() */
            return err_set(e, -EBUSY,
                           "%s: %" PRIu64
                           " writes that %s acknowledged and lost are kept here and "
                           "have to be written first: unpark the disk",
                           d->cfg->name, kept, rec.peer_name);
        }
        if (rec.has_parked) {
            r->parked = rec.parked;
        } else {
            rc = look_at_device(d, e, &r->parked);
        }
        if (rc < 0) {
            return err_prefix(e, rc, "%s", d->cfg->name);
        }
        r->has_parked = true;
        r->parked.info = r->info;
        (void)snprintf(r->flushed_by, sizeof r->flushed_by, "%s", rec.flushed_by);
    }
    return 0;
}

/* Is the device still here? Then its number is its own, and another one's is not. */
static bool
is_here(struct disk *d, const struct identity *parked)
{
    struct err ignored = {0};
    struct port *port = NULL;
    struct identity now = {.device_id = ""};

    if (d->cfg->is_nbd || disk_open_device(d, &ignored, &port) < 0) {
        return false;
    }
    (void)port_identify(port, now.device_id, sizeof now.device_id);
    port_close(port);
    return now.device_id[0] != '\0' && strcmp(now.device_id, parked->device_id) == 0;
}

int
step_parked_compare(struct job *j, unsigned i, const struct identity *theirs,
                    struct err *e)
{
    const struct identity *parked = &j->next[i].parked;
    bool here = is_here(j->disks[i], parked);
    int rc = identity_compare_parked(parked, here, theirs, e);

    if (rc == 0 && strcmp(parked->device_id, theirs->device_id) != 0) {
        log_info("%s: its device was parked as %s and is %s at %s now, with the same "
                 "contents",
                 j->next[i].name, parked->device_id, theirs->device_id,
                 j->next[i].peer_name);
    }
    return rc < 0 ? err_prefix(e, rc, "compared with what was parked") : 0;
}

void
step_parked_again(struct job *j)
{
    struct record mine[GROUP_MAX_DISKS];
    uint64_t wait_ns = 10 * NS_PER_MS;

    for (unsigned i = 0; i < j->nr; i++) {
        mine[i] = disk_next_record(j->disks[i], ROLE_PARKED, j->next[i].epoch + 1);
        mine[i].has_parked = true;
        mine[i].parked = j->next[i].parked;
        (void)snprintf(mine[i].flushed_by, sizeof mine[i].flushed_by, "%s",
                       j->next[i].flushed_by);
    }
    (void)BREAKPOINT("owner-refused");
    for (;;) {
        struct err e = {0};
        bool is_committed = false;
        int rc = record_commit(j->service->records, mine, j->nr, &e, &is_committed);

        if (rc == 0 || is_committed) {
            break;
        }
        job_detail(j, "parking it again: %s", err_text(&e, rc));
        log_warn(
            "%s was refused by %s and is not parked here again yet: %s; trying again",
            j->target, j->next[0].peer_name, err_text(&e, rc));
        (void)job_back_off(j, &wait_ns);
    }
    (void)BREAKPOINT("owner-retaken");
    for (unsigned i = 0; i < j->nr; i++) {
        disk_set_record(j->disks[i], &mine[i]);
        disk_park_again(j->disks[i]);
        port_close(j->channels[i]);
        j->channels[i] = NULL;
    }
}
