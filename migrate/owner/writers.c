/* SPDX-License-Identifier: BSD-3-Clause */
#include "writers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "disk.h"
#include "lease.h"
#include "log.h"
#include "may_block.h"

#define WAIT_NS (10 * NS_PER_S) /* for the source of a migration to end */
#define ASK_NS (2 * NS_PER_S)
#define AGAIN_NS (100 * NS_PER_MS)

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

/* Become the client that writes, or one more connection of it. *ret_asks: the caller
 * has to ask the owner, and to call settle(). What is being asked is waited for until
 * failed_ns, like the owner by any request; only a client that does write is given
 * WAIT_NS to end. -EPERM, -ETIMEDOUT. */
static int
join(struct writers *ws, const char *name, uint64_t failed_ns, bool *ret_asks)
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
            refused_ns = refused_ns != 0 ? refused_ns : clock_deadline_ns(WAIT_NS);
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

static void
settle(struct writers *ws, int rc)
{
    LK_GUARD(&ws->lock);

    writers_locked(ws)->is_asking = false;
    writers_locked(ws)->nr += rc == 0;
    writers_locked(ws)->nr_refused += rc == -EPERM;
    cv_broadcast(&ws->changed);
}

/* Ask the owner, for as long as that makes sense: one that is away is waited for like
 * by any request, one that refuses for as long as a migration's source may last. */
static int
ask(struct disk *d, const char *name, uint64_t failed_ns)
{
    const uint64_t refused_ns = clock_deadline_ns(WAIT_NS);
    struct guests_locked g = guests_look(&d->guests);

    if (g.vm_uuid[0] != '\0' && !g.is_gone) {
        return 0; /* it is the VM that libvirt announced, which has the lease */
    }
    for (;;) {
        struct err e = {{0}};
        bool is_new;
        int rc = lease_take(d, LEASE_CLIENTS, name, false, LEASE_START,
                            clock_deadline_ns(ASK_NS), &e, &is_new);

        if (rc == 0) {
            return 0;
        }
        if (rc == -EPERM && clock_now_ns() >= refused_ns) {
            log_warn("%s may not write: %s", name, e.msg);
            return -EPERM;
        }
        if (clock_now_ns() >= failed_ns) {
            return -ETIMEDOUT;
        }
        clock_pass(AGAIN_NS);
    }
}

int
writers_enter(struct disk *d, const char *name)
{
    const uint64_t failed_ns = d->cfg->fail_after_ns == CLOCK_NEVER
                                   ? CLOCK_NEVER
                                   : clock_deadline_ns(d->cfg->fail_after_ns);
    bool asks = false;
    int rc;

    may_block();
    rc = join(&d->writers, name, failed_ns, &asks);
    if (rc == -EPERM) {
        log_warn("%s: %s may not write: another client does", d->cfg->name, name);
    }
    if (rc == 0 && asks) {
        rc = ask(d, name, failed_ns);
        settle(&d->writers, rc);
    }
    return rc;
}

/* The owner finds out when another one wants to write. */
void
writers_leave(struct disk *d)
{
    struct writers *ws = &d->writers;
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
