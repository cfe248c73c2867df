/* SPDX-License-Identifier: BSD-3-Clause */
#include "writers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

static struct writers_locked *writers_locked(struct writers *ws) LK_REQUIRES(ws->lock);

static struct writers_locked *
writers_locked(struct writers *ws)
{
    return &ws->locked_;
}

void
writers_init(struct writers *ws)
{
    memset(ws, 0, sizeof *ws);
    lk_init(&ws->lock);
    cv_init(&ws->changed);
}

void
writers_done(struct writers *ws)
{
    cv_done(&ws->changed);
    lk_done(&ws->lock);
}

int
writers_join(struct writers *ws, const char *name, uint64_t failed_ns, bool *ret_asks)
{
    struct writers_locked *l;
    uint64_t refused_ns = 0;
    LK_GUARD(&ws->lock);

    l = writers_locked(ws);
    while (l->is_asking || (l->nr > 0 && strcmp(l->name, name) != 0)) {
        const bool is_asked_for = l->is_asking && strcmp(l->name, name) == 0;
        const unsigned nr_refused = l->nr_refused;
        uint64_t until_ns = failed_ns;

        if (!l->is_asking) {
            refused_ns =
                refused_ns != 0 ? refused_ns : clock_deadline_ns(WRITERS_WAIT_NS);
            until_ns = clock_earlier(refused_ns, failed_ns);
        }
        if (cv_wait_until(&ws->changed, &ws->lock, until_ns) == -ETIMEDOUT) {
            return until_ns == failed_ns ? -ETIMEDOUT : -EPERM;
        }
        if (is_asked_for && l->nr_refused != nr_refused) {
            return -EPERM; /* it has asked for all of us */
        }
    }
    *ret_asks = l->nr == 0;
    l->is_asking = *ret_asks;
    l->nr += !*ret_asks;
    (void)snprintf(l->name, sizeof l->name, "%s", name);
    return 0;
}

void
writers_settle(struct writers *ws, int rc)
{
    LK_GUARD(&ws->lock);

    writers_locked(ws)->is_asking = false;
    writers_locked(ws)->nr += rc == 0;
    writers_locked(ws)->nr_refused += rc == -EPERM;
    cv_broadcast(&ws->changed);
}

/* The owner finds out when another one wants to write. */
void
writers_leave(struct writers *ws)
{
    LK_GUARD(&ws->lock);

    if (--writers_locked(ws)->nr == 0) {
        writers_locked(ws)->name[0] = '\0';
        cv_broadcast(&ws->changed);
    }
}

bool
writers_are_there(struct writers *ws)
{
    LK_GUARD(&ws->lock);

    return writers_locked(ws)->nr > 0 || writers_locked(ws)->is_asking;
}
