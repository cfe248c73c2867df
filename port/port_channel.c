/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of unacknowledged requests is the threads that are inside submit: each has
 * its request, and sends it again by itself when a session ends without an answer.
 *
 *   IDLE -> CONNECTING -> UP -> BROKEN -> CONNECTING      any -> RECALLED (final)
 *     ^---------'
 *
 * Whoever needs a session and finds none becomes the one who connects; the others wait.
 * A session breaks as a whole, at the first request that a lane leaves unanswered: its
 * lanes are shut down, so every thread leaves them at once, and only when the last has
 * left are they closed and the next session is asked for. So no request of an older
 * session is sent after one of a newer; what the owner still has of the older ones it
 * fences.
 *
 * An owner that gives way (NBD_ESHUTDOWN, or a recall) still answers all it was sent:
 * performed, or not. These answers are taken before the lanes are shut down, because a
 * request that was performed and whose answer is thrown away would be performed twice.
 *
 * After a session that gave an answer the next is tried at once; otherwise the back-off
 * grows. An owner that answers some requests and refuses others with NBD_ESHUTDOWN
 * would then be asked for sessions as fast as it can give them, so a session that ends
 * in a refusal has to have lasted, too.
 * What a session left unanswered is doubtful, and newer requests follow: unacked.h.
 * Whose time is over leaves without an answer, after its session was broken: what is
 * submitted later goes to a newer session, and the owner fences the older one first. */
#include "port_channel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "channel_lanes.h"
#include "clock.h"
#include "lock.h"
#include "resumed_sink.h"
#include "trace.h"
#include "unacked.h"

#define BACKOFF_MIN_NS (10 * NS_PER_MS)
#define BACKOFF_MAX_NS NS_PER_S
#define FAREWELL_NS NS_PER_S /* for the last answers of an owner that gives way */

enum channel_state {
    CHANNEL_IDLE,       /* no lanes */
    CHANNEL_CONNECTING, /* one thread is about to replace the lanes */
    CHANNEL_UP,         /* requests may be sent */
    CHANNEL_BROKEN,     /* the lanes are shut down, and wait for their users to leave */
    CHANNEL_RECALLED,
};
#define CHANNEL_NR_STATES 5

static const bool channel_allowed[CHANNEL_NR_STATES][CHANNEL_NR_STATES] = {
    [CHANNEL_IDLE] = {[CHANNEL_CONNECTING] = true, [CHANNEL_RECALLED] = true},
    [CHANNEL_CONNECTING] =
        {[CHANNEL_IDLE] = true, [CHANNEL_UP] = true, [CHANNEL_RECALLED] = true},
    [CHANNEL_UP] = {[CHANNEL_BROKEN] = true, [CHANNEL_RECALLED] = true},
    [CHANNEL_BROKEN] = {[CHANNEL_CONNECTING] = true, [CHANNEL_RECALLED] = true},
};

static const char *const channel_state_names[CHANNEL_NR_STATES] = {
    "idle", "connecting", "up", "broken", "recalled"};

struct channel {
    struct port port;
    struct channel_route route;
    struct lk lock;    /* before the locks of the lanes; not held while connecting */
    struct cv changed; /* the state, or users has become 0, or next_try_ns, or a
                        * doubtful request has its answer */
    struct channel_locked {
        enum channel_state state;
        struct channel_lanes *lanes; /* UP, BROKEN: not NULL */
        unsigned users;              /* threads that use them */
        struct unacked_table unacked;
        bool has_answered;    /* this session */
        uint64_t since_ns;    /* this session */
        uint64_t farewell_ns; /* BROKEN, CONNECTING: until then its answers are taken */
        uint64_t nr_sessions; /* that came up */
        uint64_t backoff_ns;  /* the latest; 0 after a success */
        uint64_t next_try_ns;
    } locked_; /* reach it only through channel_locked() */
};

static struct channel *
channel(struct port *p)
{
    return (struct channel *)p;
}

static struct channel_locked *
channel_locked(struct channel *c) LK_REQUIRES(c->lock)
{
    return &c->locked_;
}

static void
set_state(struct channel *c, enum channel_state next) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);

    assert(channel_allowed[l->state][next]);
    trace_state("channel", c->route.name.uuid, channel_state_names[l->state],
                channel_state_names[next]);
    l->state = next;
    cv_broadcast(&c->changed);
}

static void
back_off(struct channel *c) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);
    uint64_t next = l->backoff_ns != 0 ? l->backoff_ns * 2 : BACKOFF_MIN_NS;

    l->backoff_ns = next < BACKOFF_MAX_NS ? next : BACKOFF_MAX_NS;
    l->next_try_ns = clock_deadline_ns(l->backoff_ns);
}

static void
break_session(struct channel *c, int rc) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);
    bool has_lasted = clock_now_ns() - l->since_ns >= BACKOFF_MIN_NS;

    if (l->has_answered && (rc == -ENOTCONN || has_lasted)) {
        l->backoff_ns = 0;
        l->next_try_ns = 0;
    } else {
        back_off(c);
    }
    if (rc == -ESHUTDOWN) {
        l->farewell_ns = clock_deadline_ns(FAREWELL_NS);
    } else {
        l->farewell_ns = 0;
        channel_lanes_shutdown(l->lanes);
    }
    set_state(c, CHANNEL_BROKEN);
}

/* Wait until nobody uses the lanes; from deadline_ns on they are shut down, so that
 * nobody stays. */
static void
await_users(struct channel *c, uint64_t deadline_ns) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);

    while (l->users > 0) {
        if (cv_wait_until(&c->changed, &c->lock, deadline_ns) == -ETIMEDOUT &&
            l->users > 0) {
            channel_lanes_shutdown(l->lanes); /* there, as long as there are users */
            deadline_ns = CLOCK_NEVER;
        }
    }
}

/* The state is CONNECTING, by this thread. Wait until nobody uses the lanes of before,
 * and close them. */
static void
drop_lanes(struct channel *c) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);
    struct channel_lanes *old;

    await_users(c, l->farewell_ns != 0 ? l->farewell_ns : CLOCK_NEVER);
    old = l->lanes;
    l->lanes = NULL;
    lk_release(&c->lock);
    channel_lanes_close(old);
    lk_acquire(&c->lock);
}

/* The state is CONNECTING, by this thread; afterwards it is UP, IDLE or RECALLED. */
static int
try_connect(struct channel *c, uint64_t deadline_ns, struct err *e) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);
    struct channel_lanes *lanes = NULL;
    int rc;

    lk_release(&c->lock);
    rc = channel_lanes_open(&c->route, &c->port.info, deadline_ns, e, &lanes);
    lk_acquire(&c->lock);
    if (l->state == CHANNEL_RECALLED) {
        lk_release(&c->lock);
        channel_lanes_close(lanes);
        lk_acquire(&c->lock);
        return err_set(e, -ESTALE, "the channel was recalled");
    }
    if (rc < 0) {
        back_off(c);
        set_state(c, CHANNEL_IDLE);
        return rc;
    }
    l->lanes = lanes;
    l->nr_sessions++;
    l->has_answered = false;
    l->since_ns = clock_now_ns();
    set_state(c, CHANNEL_UP);
    return 0;
}

/* On behalf of a request, which does not care why there is no owner yet. */
static void
reconnect(struct channel *c, const struct unacked *u) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);
    uint64_t end_ns = unacked_deadline_ns(u);

    set_state(c, CHANNEL_CONNECTING);
    drop_lanes(c);
    while (l->state == CHANNEL_CONNECTING && clock_now_ns() < l->next_try_ns &&
           !unacked_is_over(u)) {
        (void)cv_wait_until(&c->changed, &c->lock, /* looked at above */
                            end_ns < l->next_try_ns ? end_ns : l->next_try_ns);
    }
    if (l->state == CHANNEL_CONNECTING) {
        (void)try_connect(c, end_ns, NULL); /* the caller looks at the state */
    }
}

/* Wait until there are lanes and it is u's turn, and become a user of them. 0,
 * -ESTALE, or -EIO when its time is over. */
static int
enter(struct channel *c, const struct unacked *u) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);

    for (;;) {
        if (l->state == CHANNEL_RECALLED) {
            return -ESTALE;
        }
        if (unacked_is_over(u)) {
            return -EIO;
        }
        if (l->state == CHANNEL_UP && !unacked_has_to_follow(&l->unacked, u)) {
            l->users++;
            return 0;
        }
        if (l->state == CHANNEL_IDLE || l->state == CHANNEL_BROKEN) {
            reconnect(c, u);
        } else { /* the oldest never waits for another; either way: look again */
            (void)cv_wait_until(&c->changed, &c->lock, unacked_deadline_ns(u));
        }
    }
}

static void
leave(struct channel *c, bool is_answered, int rc) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);

    l->users--;
    if (is_answered) {
        l->has_answered = true;
    } else if (l->state == CHANNEL_UP) {
        break_session(c, rc);
    }
    if (l->users == 0 && l->state != CHANNEL_UP) {
        cv_broadcast(&c->changed);
    }
}

static int
channel_submit(struct port *p, const struct req *rq)
{
    struct channel *c = channel(p);
    struct resumed_sink resumed = resumed_sink(rq->extents, rq->off);
    struct unacked u = {.rq = rq};
    struct req sent = *rq;
    bool is_answered = false;
    int rc = 0;

    sent.extents = rq->extents != NULL ? &resumed.sink : NULL;
    lk_acquire(&c->lock);
    unacked_arrive(&channel_locked(c)->unacked, &u);
    while (!is_answered) {
        struct channel_lanes *lanes;

        rc = enter(c, &u);
        if (rc < 0) {
            break;
        }
        lanes = channel_locked(c)->lanes;
        lk_release(&c->lock);
        rc = port_submit(&lanes->port, &sent);
        lk_acquire(&c->lock);
        is_answered = (rc != -ENOTCONN && rc != -ESHUTDOWN) || resumed.rc != 0;
        if (rc == -ENOTCONN && !is_answered) {
            unacked_doubt(&channel_locked(c)->unacked, &u);
        }
        leave(c, is_answered, rc);
    }
    if (unacked_depart(&channel_locked(c)->unacked, &u)) {
        cv_broadcast(&c->changed); /* who has to follow it may go */
    }
    lk_release(&c->lock);
    return rc;
}

static void
channel_close(struct port *p)
{
    struct channel *c = channel(p);
    struct channel_lanes *lanes;

    lk_acquire(&c->lock);
    assert(channel_locked(c)->unacked.nr == 0);
    lanes = channel_locked(c)->lanes;
    lk_release(&c->lock);
    channel_lanes_close(lanes);
    cv_done(&c->changed);
    lk_done(&c->lock);
    channel_route_done(&c->route);
    free(c);
}

static const struct port_ops channel_ops = {
    .name = "channel",
    .submit = channel_submit,
    .close = channel_close,
};

int
port_channel_new(const struct port_channel_opts *opts, struct port **ret_port)
{
    struct channel *c = calloc(1, sizeof *c);
    int rc;

    if (c == NULL) {
        return -ENOMEM;
    }
    c->port.ops = &channel_ops;
    c->port.info = opts->info;
    lk_init(&c->lock);
    cv_init(&c->changed);
    unacked_init(&c->locked_.unacked);
    rc = channel_route_init(&c->route, opts);
    if (rc < 0) {
        channel_close(&c->port);
        return rc;
    }
    *ret_port = &c->port;
    return 0;
}

int
port_channel_connect(struct port *p, uint64_t deadline_ns, struct err *e)
{
    struct channel *c = channel(p);
    LK_GUARD(&c->lock);
    struct channel_locked *l = channel_locked(c);

    if (l->state == CHANNEL_UP && !channel_lanes_are_alive(l->lanes)) {
        break_session(c, -ENOTCONN);
    }
    l->next_try_ns = 0; /* a request that has backed off does it for us */
    cv_broadcast(&c->changed);
    while (l->state == CHANNEL_CONNECTING) {
        if (cv_wait_until(&c->changed, &c->lock, deadline_ns) < 0) {
            return err_set(e, -ETIMEDOUT, "no owner answered in time");
        }
    }
    if (l->state == CHANNEL_UP) {
        return 0;
    }
    if (l->state == CHANNEL_RECALLED) {
        return err_set(e, -ESTALE, "the channel was recalled");
    }
    set_state(c, CHANNEL_CONNECTING);
    drop_lanes(c);
    return try_connect(c, deadline_ns, e);
}

void
port_channel_recall(struct port *p)
{
    struct channel *c = channel(p);
    LK_GUARD(&c->lock);
    struct channel_locked *l = channel_locked(c);

    if (l->state == CHANNEL_RECALLED) {
        return;
    }
    set_state(c, CHANNEL_RECALLED);
    channel_route_cancel(&c->route);
    await_users(c, clock_deadline_ns(FAREWELL_NS));
}

void
port_channel_status(struct port *p, struct port_channel_status *ret_status)
{
    struct channel *c = channel(p);
    LK_GUARD(&c->lock);
    const struct channel_locked *l = channel_locked(c);

    ret_status->is_connected =
        l->state == CHANNEL_UP && channel_lanes_are_alive(l->lanes);
    ret_status->unacknowledged = l->unacked.nr;
    ret_status->reconnects = l->nr_sessions > 0 ? l->nr_sessions - 1 : 0;
}
