/* SPDX-License-Identifier: BSD-3-Clause */
/* Unpark: ASSIGN and REPLAY, with ourselves as the next owner. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "breakpoint.h"
#include "device_check.h"
#include "device_wait.h"
#include "disk.h"
#include "disk_ownership.h"
#include "handoff.h"
#include "log.h"

struct parked {
    unsigned nr;
    struct disk *disks[GROUP_MAX_DISKS];
    struct port *ports[GROUP_MAX_DISKS];
    struct record next[GROUP_MAX_DISKS];
};

static int
claim_parked(struct service *s, const struct target *target, struct parked *p,
             struct err *e)
{
    struct disk *disks[GROUP_MAX_DISKS];
    unsigned nr;
    int rc = service_find_target(s, target, e, disks, &nr);

    if (rc == -ENOENT) {
        return err_set(e, rc, "%s has no disk %s", s->cfg->name, target->text);
    }
    if (rc < 0) {
        return rc;
    }
    for (unsigned i = 0; i < nr; i++) {
        struct disk *d = disks[i];

        rc = disk_claim(d, "unparking", e);
        if (rc < 0) {
            return rc;
        }
        p->disks[p->nr++] = d;
        if (disk_record(d).role != ROLE_PARKED) {
            return err_set(e, -EPERM, "%s is not parked here: it is %s", d->cfg->name,
                           role_name(disk_record(d).role));
        }
        p->next[p->nr - 1] = disk_next_record(d, ROLE_OWNER, disk_record(d).epoch + 1);
    }
    return 0;
}

static int
own_one(struct disk *d, struct err *e, struct port **ret_port)
{
    int rc;

    device_wait_for_disk(d);
    rc = disk_open_device(d, e, ret_port);
    if (rc < 0) {
        return rc;
    }
    rc = disk_can_take(d, *ret_port, e);
    if (rc < 0) {
        return rc;
    }
    rc = device_check(d, *ret_port, e);
    if (rc < 0) {
        return rc;
    }
    return disk_own(d, *ret_port, false, e); /* it may have been elsewhere meanwhile */
}

/* With one commit. On failure what was opened is in p->ports. */
static int
commit(struct service *s, struct parked *p, struct err *e)
{
    bool is_committed = false;
    int rc;

    for (unsigned i = 0; i < p->nr; i++) {
        rc = own_one(p->disks[i], e, &p->ports[i]);
        if (rc < 0) {
            return rc;
        }
    }
    rc = BREAKPOINT("unpark-locked");
    if (rc < 0) {
        return rc;
    }
    rc = record_commit(s->records, p->next, p->nr, e, &is_committed);
    return is_committed ? 0 : rc;
}

static int
own_parked(struct service *s, struct parked *p, struct err *e)
{
    int rc = commit(s, p, e);

    if (rc < 0) {
        for (unsigned i = 0; i < p->nr; i++) {
            port_close(p->ports[i]); /* NULL is accepted */
        }
        return rc;
    }
    (void)BREAKPOINT("unpark-owned");
    return 0;
}

int
handoff_unpark(struct service *s, const struct target *target, struct err *e,
               json_t **ret_report)
{
    struct parked p = {0};
    json_t *disks = json_array();
    int rc = claim_parked(s, target, &p, e);

    if (rc == 0) {
        rc = own_parked(s, &p, e);
    }
    for (unsigned i = 0; i < p.nr && rc == 0; i++) {
        disk_set_record(p.disks[i], &p.next[i]);
        disk_assign(p.disks[i], p.ports[i]);
        device_remember(p.disks[i]);
        (void)json_array_append_new(disks,
                                    json_pack("{s:s,s:I}", "disk", p.next[i].name,
                                              "epoch", (json_int_t)p.next[i].epoch));
    }
    for (unsigned i = 0; i < p.nr; i++) {
        disk_unclaim(p.disks[i]);
    }
    if (rc < 0) {
        json_decref(disks);
        return rc;
    }
    log_info("%s is owned by %s again", target->text, s->cfg->name);
    *ret_report = json_pack("{s:s,s:s,s:o}", "target", target->text, "outcome", "done",
                            "disks", disks);
    return 0;
}
