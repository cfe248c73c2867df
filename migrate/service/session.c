/* SPDX-License-Identifier: BSD-3-Clause */
/* Every client ever seen keeps its newest session number, so that an older one is
 * recognised after all its connections are gone. */
#include "session.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breakpoint.h"
#include "clock.h"
#include "lock.h"
#include "req_trace.h"
#include "session_parts.h"
#include "underway.h"

#define LOOK_AGAIN_NS (20 * NS_PER_MS) /* for requests on their way to the gate */
#define CLOSE_LOOK_AGAIN_NS (200 * NS_PER_US) /* in a stall, for the same */
/* A number is the incarnation of the client's service (31 bits) times 2^32, and counts
 * up from there. Incarnations may be seconds since 2025 (record_dir.c): one is as far
 * ahead of the one before as the service was up, or, made by an earlier program, as the
 * year is late; not by 17 years. */
#define MAX_NUMBER (UINT64_C(1) << 63)
#define MAX_AHEAD (UINT64_C(1) << 61)
#define CLOSE_NS (100 * NS_PER_MS) /* then the next owner does without its answer */

int
session_table_new(const char *id, struct redir *r, struct session_table **ret_t)
{
    struct session_table *t = calloc(1, sizeof *t);

    if (t == NULL) {
        return -ENOMEM;
    }
    (void)snprintf(t->id, sizeof t->id, "%s", id);
    t->redir = r;
    lk_init(&t->lock);
    cv_init(&t->ended);
    TAILQ_INIT(&t->locked_.sessions);
    *ret_t = t;
    return 0;
}

void
session_table_free(struct session_table *t)
{
    struct session *s;

    if (t == NULL) {
        return;
    }
    while ((s = TAILQ_FIRST(&t->locked_.sessions)) != NULL) {
        TAILQ_REMOVE(&t->locked_.sessions, s, link);
        free(s);
    }
    cv_done(&t->ended);
    lk_done(&t->lock);
    free(t);
}

/* A request may have passed enter() long ago, when its epoch was served, and come to
 * the gate only now: others may have owned the disk meanwhile, and what it writes is
 * old. */
static void
expel_before(struct session_table *t, uint64_t epoch) LK_REQUIRES(t->lock)
{
    bool is_busy = true;

    while (is_busy) {
        struct session *s;

        is_busy = false;
        TAILQ_FOREACH(s, &table_locked(t)->sessions, link)
        {
            if (s->epoch < epoch && s->in_flight > 0) {
                is_busy = true;
                redir_bounce(t->redir, s);
            }
        }
        if (is_busy) {
            (void)cv_wait_until(&t->ended, &t->lock, /* either way: look again */
                                clock_deadline_ns(LOOK_AGAIN_NS));
        }
    }
}

void
session_table_open(struct session_table *t, uint64_t epoch)
{
    struct session_table_locked *l;
    LK_GUARD(&t->lock);

    l = table_locked(t);
    assert(epoch > l->given && epoch > l->served);
    expel_before(t, epoch);
    l->served = epoch;
    l->expected = 0;
    session_table_trace(t, "open");
}

void
session_table_expect(struct session_table *t, uint64_t epoch)
{
    LK_GUARD(&t->lock);

    table_locked(t)->expected = epoch;
}

static uint64_t
in_flight_locked(struct session_table *t) LK_REQUIRES(t->lock)
{
    const struct session *s;
    uint64_t n = 0;

    TAILQ_FOREACH(s, &table_locked(t)->sessions, link)
    {
        n += s->in_flight;
    }
    return n;
}

/* A request that has passed enter() and is not at the gate yet has to be sent back,
 * too: the next owner, its client, waits for the answer with the gates of all closed.
 */
void
session_table_close(struct session_table *t)
{
    uint64_t deadline_ns = clock_deadline_ns(CLOSE_NS);
    struct session_table_locked *l;
    LK_GUARD(&t->lock);

    l = table_locked(t);
    l->given = l->served != 0 ? l->served : l->given;
    l->served = 0;
    redir_bounce(t->redir, REDIR_ALL_CHANNELS);
    while (in_flight_locked(t) > 0 && clock_now_ns() < deadline_ns) {
        (void)cv_wait_until(&t->ended, &t->lock, /* either way: look again */
                            clock_deadline_ns(CLOSE_LOOK_AGAIN_NS));
        redir_bounce(t->redir, REDIR_ALL_CHANNELS);
    }
    session_table_trace(t, "closed");
}

static struct session *
find_newest(struct session_table *t, const char *client) LK_REQUIRES(t->lock)
{
    struct session *s, *newest = NULL;

    TAILQ_FOREACH(s, &table_locked(t)->sessions, link)
    {
        if (strcmp(s->client, client) == 0 &&
            (newest == NULL || s->number > newest->number)) {
            newest = s;
        }
    }
    return newest;
}

static void
drop_if_unused(struct session_table *t, struct session *s) LK_REQUIRES(t->lock)
{
    if (s->nr_lanes == 0 && s->in_flight == 0 && s->is_fenced) {
        TAILQ_REMOVE(&table_locked(t)->sessions, s, link);
        free(s);
    }
}

/* Fence the sessions of `newest`'s client that are older, and wait until what they had
 * begun has ended. What waits at the gate is sent back; a request that was on its way
 * there is caught by the next look. */
static int
fence_older(struct session_table *t, const struct session *newest, uint64_t deadline_ns)
    LK_REQUIRES(t->lock)
{
    for (;;) {
        struct session *s, *next;
        bool is_busy = false;
        uint64_t look_again_ns = clock_deadline_ns(LOOK_AGAIN_NS);

        for (s = TAILQ_FIRST(&table_locked(t)->sessions); s != NULL; s = next) {
            next = TAILQ_NEXT(s, link);
            if (s->number >= newest->number || strcmp(s->client, newest->client) != 0) {
                continue;
            }
            if (!s->is_fenced) {
                s->is_fenced = true;
                session_trace(s, "fenced");
            }
            is_busy |= s->in_flight > 0;
            redir_bounce(t->redir, s);
            drop_if_unused(t, s);
        }
        if (!is_busy) {
            return 0;
        }
        if (clock_now_ns() >= deadline_ns) {
            return -ETIMEDOUT;
        }
        (void)cv_wait_until(&t->ended, &t->lock, /* either way: look again */
                            look_again_ns < deadline_ns ? look_again_ns : deadline_ns);
    }
}

static struct session *
add_session(struct session_table *t, const char *client, uint64_t number,
            uint64_t epoch) LK_REQUIRES(t->lock)
{
    struct session *s = calloc(1, sizeof *s);

    if (s != NULL) {
        s->requester = req_new_requester();
        s->table = t;
        s->number = number;
        s->epoch = epoch;
        (void)snprintf(s->client, sizeof s->client, "%s", client);
        TAILQ_INSERT_TAIL(&table_locked(t)->sessions, s, link);
        session_trace(s, "new");
    }
    return s;
}

/* The session to join; *ret_s is NULL if it has to be added. -ESTALE for one that is
 * not served. */
static int
find_session(struct session_table *t, const char *client, uint64_t number,
             uint64_t epoch, struct err *e, struct session **ret_s) LK_REQUIRES(t->lock)
{
    struct session_table_locked *l = table_locked(t);
    struct session *s;

    if (epoch == 0 || (epoch != l->served && epoch != l->expected)) {
        return err_set(e, -ESTALE,
                       "%s: a channel for epoch %" PRIu64 " is not served here", t->id,
                       epoch);
    }
    s = find_newest(t, client);
    if (number > MAX_NUMBER || (s != NULL && number > s->number + MAX_AHEAD)) {
        return err_set(e, -ERANGE,
                       "%s: session %" PRIu64 " of client %s is implausible", t->id,
                       number, client);
    }
    if (s != NULL &&
        (number < s->number || (number == s->number && epoch != s->epoch))) {
        return err_set(e, -ESTALE,
                       "%s: session %" PRIu64 " of client %s is fenced by session "
                       "%" PRIu64,
                       t->id, number, client, s->number);
    }
    *ret_s = s != NULL && number == s->number ? s : NULL;
    return 0;
}

/* NOLINTBEGIN(readability-function-size): who asks for what, and till when */
int
session_open(struct session_table *t, const char *client, uint64_t number,
             uint64_t epoch, uint64_t deadline_ns, struct err *e,
             struct session **ret_s)
/* NOLINTEND(readability-function-size) */
{
    struct session *s = NULL;
    int rc;
    LK_GUARD(&t->lock);

    rc = find_session(t, client, number, epoch, e, &s);
    if (rc < 0) {
        return rc;
    }
    if (s == NULL) {
        s = add_session(t, client, number, epoch);
        if (s == NULL) {
            return err_set(e, -ENOMEM, "out of memory");
        }
    }
    s->nr_lanes++;
    rc = fence_older(t, s, deadline_ns);
    if (rc == 0 && s->is_fenced) {
        rc = -ESTALE; /* overtaken by a still newer session meanwhile */
    }
    if (rc < 0) {
        s->nr_lanes--;
        drop_if_unused(t, s);
        return err_set(e, rc, "%s: session %" PRIu64 " of client %s: %s", t->id, number,
                       client,
                       rc == -ESTALE ? "fenced by a newer one"
                                     : "requests of an older session have not ended");
    }
    *ret_s = s;
    return 0;
}

void
session_close(struct session *s)
{
    struct session_table *t = s->table;
    LK_GUARD(&t->lock);

    s->nr_lanes--;
    drop_if_unused(t, s);
}

unsigned
session_table_nr_connected(struct session_table *t, const char *except)
{
    const struct session *s;
    unsigned n = 0;
    LK_GUARD(&t->lock);

    TAILQ_FOREACH(s, &table_locked(t)->sessions, link)
    {
        n += s->nr_lanes > 0 && strcmp(s->client, except) != 0;
    }
    return n;
}

static bool
enter(struct session *s)
{
    struct session_table *t = s->table;
    LK_GUARD(&t->lock);

    /* The epoch too: a client that was connected before somebody else owned the disk
     * may have a request on its way that is older than what was written there. */
    if ((s->is_fenced && !breakpoint_is_set("no-fencing")) ||
        s->epoch != table_locked(t)->served) {
        session_trace(s, "stale");
        return false;
    }
    s->in_flight++;
    return true;
}

static void
leave(struct session *s)
{
    struct session_table *t = s->table;
    LK_GUARD(&t->lock);

    if (--s->in_flight == 0) {
        cv_broadcast(&t->ended);
    }
}

int
session_submit(struct session *s, const struct req *rq)
{
    struct req mine = *rq;
    int rc;

    if (!enter(s)) {
        req_trace("stale", s->client, rq);
        return -ESTALE;
    }
    mine.origin = s;
    mine.requester = s->requester;
    underway_begin(clock_now_ns());
    rc = port_submit(redir_port(s->table->redir), &mine);
    underway_end();
    leave(s);
    return rc;
}
