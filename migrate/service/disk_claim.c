/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may change a disk's ownership now. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "clock.h"
#include "disk.h"

static const char following[] = "following the owner";

/* The holder only writes one file, or closes what the channel had open. */
static void
await_record(struct disk *d) LK_REQUIRES(d->lock)
{
    while (disk_locked(d)->is_following) {
        (void)cv_wait_until(&d->changed, &d->lock, CLOCK_NEVER); /* no time-out */
    }
}

static int
refuse(struct disk *d, struct err *e) LK_REQUIRES(d->lock)
{
    if (disk_locked(d)->trouble[0] != '\0') {
        return err_set(e, -EAGAIN, "%s is not served here now: %s", d->cfg->name,
                       disk_locked(d)->trouble);
    }
    return err_set(e, -EBUSY, "%s is busy: %s is going on", d->cfg->name,
                   disk_locked(d)->claimed_for);
}

int
disk_claim(struct disk *d, const char *what, struct err *e)
{
    return disk_claim_by(d, what, 0, e);
}

int
disk_claim_by(struct disk *d, const char *what, uint64_t deadline_ns, struct err *e)
{
    LK_GUARD(&d->lock);

    if (disk_locked(d)->claimed_for == following) {
        await_record(d);
    }
    while (disk_locked(d)->claimed_for != NULL && deadline_ns != 0 &&
           cv_wait_until(&d->changed, &d->lock, deadline_ns) == 0) {
    }
    if (disk_locked(d)->claimed_for != NULL || disk_locked(d)->trouble[0] != '\0') {
        return refuse(d, e);
    }
    disk_locked(d)->claimed_for = what;
    return 0;
}

void
disk_unclaim(struct disk *d)
{
    LK_GUARD(&d->lock);

    assert(!disk_locked(d)->is_shared);
    disk_locked(d)->claimed_for = NULL;
    cv_broadcast(&d->changed);
}

void
disk_share_claim(struct disk *d)
{
    LK_GUARD(&d->lock);

    disk_locked(d)->is_shared = true;
}

void
disk_end_sharing(struct disk *d)
{
    LK_GUARD(&d->lock);

    await_record(d);
    disk_locked(d)->is_shared = false;
}

int
disk_claim_record(struct disk *d, struct err *e)
{
    struct disk_locked *l;
    LK_GUARD(&d->lock);

    l = disk_locked(d);
    await_record(d);
    if ((l->claimed_for != NULL && !l->is_shared) || l->trouble[0] != '\0') {
        return refuse(d, e);
    }
    if (l->claimed_for == NULL) {
        l->claimed_for = following;
    }
    l->is_following = true;
    return 0;
}

void
disk_unclaim_record(struct disk *d)
{
    LK_GUARD(&d->lock);

    if (disk_locked(d)->claimed_for == following) {
        disk_locked(d)->claimed_for = NULL;
    }
    disk_locked(d)->is_following = false;
    cv_broadcast(&d->changed);
}
