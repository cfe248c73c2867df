/* SPDX-License-Identifier: BSD-3-Clause */
#include "trail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "lock.h"

struct trail {
    struct lk lock; /* leaf */
    struct trail_locked {
        uint64_t nr; /* event number n is at n % TRAIL_EVENTS */
        struct trail_event events[TRAIL_EVENTS];
    } locked_; /* reach it only through trail_locked() */
};

static struct trail_locked *trail_locked(struct trail *t) LK_REQUIRES(t->lock);

static struct trail_locked *
trail_locked(struct trail *t)
{
    return &t->locked_;
}

struct trail *
trail_new(void)
{
    struct trail *t = calloc(1, sizeof *t); /* memory only as it is used */

    if (t != NULL) {
        lk_init(&t->lock);
    }
    return t;
}

void
trail_free(struct trail *t)
{
    if (t != NULL) {
        lk_done(&t->lock);
        free(t);
    }
}

void
trail_note(struct trail *t, const struct trail_event *e)
{
    struct trail_event *to;

    if (t == NULL) {
        return;
    }
    lk_acquire(&t->lock);
    to = &trail_locked(t)->events[trail_locked(t)->nr++ % TRAIL_EVENTS];
    *to = *e;
    to->ns = clock_now_ns(); /* under the lock, so that they are in order */
    lk_release(&t->lock);
}

int
trail_write(struct trail *t, uint64_t first_sector, const char *path)
{
    static const char *const names[] = {"sent",   "again",     "answered",
                                        "failed", "connected", "broken"};
    FILE *to = fopen(path, "we");
    uint64_t first;
    LK_GUARD(&t->lock);
    const struct trail_locked *l = trail_locked(t);

    if (to == NULL) {
        return -errno;
    }
    first = l->nr > TRAIL_EVENTS ? l->nr - TRAIL_EVENTS : 0;
    for (uint64_t i = first; i < l->nr; i++) {
        const struct trail_event *e = &l->events[i % TRAIL_EVENTS];

        (void)fprintf(to, "t_us=%" PRIu64 " conn=%u %s", e->ns / NS_PER_US, e->conn,
                      names[e->what]);
        if (e->kind != NULL) {
            (void)fprintf(to, " %s sector=%" PRIu64 "+%" PRIu32 " seq=%" PRIu64,
                          e->kind, first_sector + e->sector, e->nr_sectors, e->seq);
        }
        (void)fputc('\n', to); /* errors of all of these stick to the stream */
    }
    return fclose(to) == 0 ? 0 : -errno;
}
