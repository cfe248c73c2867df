/* SPDX-License-Identifier: BSD-3-Clause */
#include "disk_failed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "service.h"

bool
disk_failed_is(struct disk *d, struct err *e)
{
    LK_GUARD(&d->lock);

    if (disk_locked(d)->trouble[0] == '\0') {
        return false;
    }
    (void)err_set(e, -EAGAIN, "disk %s is not served here now: %s", d->cfg->name,
                  disk_locked(d)->trouble);
    return true;
}

bool
disk_failed_set(struct disk *d, const char *why)
{
    bool is_news;
    LK_GUARD(&d->lock);

    is_news = strcmp(disk_locked(d)->trouble, why) != 0;
    (void)snprintf(disk_locked(d)->trouble, sizeof disk_locked(d)->trouble, "%s", why);
    return is_news;
}

int
disk_failed_claim(struct disk *d, struct err *e)
{
    LK_GUARD(&d->lock);

    if (disk_locked(d)->trouble[0] == '\0') {
        return err_set(e, -EAGAIN, "%s is served by now", d->cfg->name);
    }
    if (disk_locked(d)->claimed_for != NULL) {
        return err_set(e, -EBUSY, "%s is being tried again at this moment",
                       d->cfg->name);
    }
    disk_locked(d)->claimed_for = "another try";
    return 0;
}

void
disk_failed_try_now(struct service *s)
{
    const uint64_t one = 1;

    (void)!write(s->mend_fd, &one, sizeof one); /* it counts, and is never full */
}
