/* SPDX-License-Identifier: BSD-3-Clause */
/* The take: like an unpark, but without the last owner's word. What can fail is done
 * first: the lock is ours before the handoff that asks for an answer is given up, and
 * that before the record is written. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "device_check.h"
#include "disk.h"
#include "disk_ownership.h"
#include "handoff.h"
#include "lease_take.h"
#include "log.h"
#include "recover.h"

struct take {
    struct service *service;
    unsigned nr;
    struct disk *const *disks;
    struct port *ports[GROUP_MAX_DISKS];
    bool is_claimed[GROUP_MAX_DISKS];
    struct record next[GROUP_MAX_DISKS];
};

static int
make_ready(struct disk *d, struct port *port, struct err *e)
{
    struct record rec = disk_record(d);
    int rc = disk_need_redir(d, &rec.info, e);

    if (rc < 0) {
        return rc;
    }
    rc = disk_can_take(d, port, e);
    if (rc < 0) {
        return rc;
    }
    rc = device_check(d, port, e);
    if (rc < 0) {
        return rc;
    }
    return disk_own(d, port, false, e); /* who wrote last is not known */
}

static int
open_one(struct disk *d, struct err *e, struct port **ret_port)
{
    struct port *port = NULL;
    int rc = disk_open_device(d, e, &port);

    if (rc < 0) {
        return rc;
    }
    rc = make_ready(d, port, e);
    if (rc < 0) {
        port_close(port);
        return err_prefix(e, rc, "disk %s", d->cfg->name);
    }
    *ret_port = port;
    return 0;
}

/* The claim of disk i, from the handoff that has it or anew. */
static int
claim_one(struct take *t, unsigned i, struct err *e)
{
    int rc;

    if (t->is_claimed[i]) {
        return 0; /* it came with another disk of its handoff */
    }
    rc = handoff_abandon(t->service, t->disks[i], e);
    if (rc == -ENOENT) {
        rc = disk_claim(t->disks[i], "a take", e);
        t->is_claimed[i] = rc == 0;
        return rc;
    }
    if (rc == 0) { /* of all that were given at once; none of them is left out here */
        uint64_t handoff = disk_record(t->disks[i]).handoff;

        for (unsigned j = i; j < t->nr; j++) {
            struct record rec = disk_record(t->disks[j]);

            t->is_claimed[j] =
                t->is_claimed[j] || j == i ||
                (rec.role == ROLE_GIVEN && handoff != 0 && rec.handoff == handoff);
        }
    }
    return rc;
}

static int
commit(struct take *t, const struct recover_verdict *verdicts, struct err *e)
{
    bool is_committed = false;
    int rc = 0;

    for (unsigned i = 0; i < t->nr; i++) {
        struct record before = disk_record(t->disks[i]);
        struct record *r = &t->next[i];

        if (before.role == ROLE_OWNER || before.epoch + 2 > verdicts[i].next_epoch) {
            return err_set(e, -EAGAIN, "%s is %s by now, at epoch %" PRIu64,
                           t->disks[i]->cfg->name, role_name(before.role),
                           before.epoch);
        }
        *r = disk_next_record(t->disks[i], ROLE_OWNER, verdicts[i].next_epoch);
        r->forced_epoch = r->epoch;
        r->taken_at = (uint64_t)time(NULL);
        r->nr_channels = 0;
    }
    rc = record_commit(t->service->records, t->next, t->nr, e, &is_committed);
    return is_committed ? 0 : rc;
}

static void
undo(struct take *t)
{
    struct err ignored = {{0}};

    for (unsigned i = 0; i < t->nr; i++) {
        port_close(t->ports[i]);
        if (t->is_claimed[i]) {
            disk_unclaim(t->disks[i]);
        }
    }
    if (handoff_resume(t->service, &ignored) < 0) {
        log_warn("the next owner will be asked again only after a restart: %s",
                 ignored.msg);
    }
}

int
recover_take(struct service *s, struct disk *const *disks, unsigned nr,
             const struct recover_verdict *verdicts, struct err *e)
{
    struct take t = {.service = s, .nr = nr, .disks = disks};
    int rc = 0;

    for (unsigned i = 0; i < nr && rc == 0; i++) {
        rc = open_one(disks[i], e, &t.ports[i]);
    }
    for (unsigned i = 0; i < nr && rc == 0; i++) {
        rc = claim_one(&t, i, e);
    }
    if (rc == 0) {
        rc = commit(&t, verdicts, e);
    }
    if (rc < 0) {
        undo(&t);
        return rc;
    }
    for (unsigned i = 0; i < nr; i++) {
        disk_set_record(disks[i], &t.next[i]);
        disk_assign(disks[i], t.ports[i]);
        device_remember(disks[i]);
        disk_unclaim(disks[i]);
        (void)lease_drop(disks[i], NULL, NULL); /* of when we owned it before */
        lease_renew(disks[i]); /* others renew theirs when they find us */
        log_warn("%s was taken by %s at epoch %" PRIu64 ", because a person said so",
                 t.next[i].name, s->cfg->name, t.next[i].epoch);
    }
    return 0;
}
