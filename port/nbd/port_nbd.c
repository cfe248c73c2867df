/* SPDX-License-Identifier: BSD-3-Clause */
/* Without `reconnects` there is one link (nbd_link.h) for life, used without a lock.
 *
 * With it there is one link after the other, as a channel has them: a request that
 * a link left unanswered is sent again by its own thread, and newer ones that conflict
 * with it follow (unacked.h). The thread that finds no link connects one.
 *
 *   UP -> LOST -> CONNECTING -> UP
 *           ^---------'  the thread that connects has no time any more
 */
#include "port_nbd.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "lock.h"
#include "loss.h"
#include "nbd_link.h"
#include "resumed_sink.h"
#include "unacked.h"

#define CONNECT_NS (30 * NS_PER_S)
#define BACKOFF_MIN_NS (10 * NS_PER_MS)
#define BACKOFF_MAX_NS (500 * NS_PER_MS)
#define WRITE_CAPS                                                                     \
    (PORT_CAN_WRITE | PORT_CAN_FUA | PORT_CAN_TRIM | PORT_CAN_ZERO | PORT_CAN_FAST_ZERO)

enum nbd_state { NBD_UP, NBD_LOST, NBD_CONNECTING };

struct nbd_port {
    struct port port;
    struct port_nbd_opts opts;
    char *uri;
    _Atomic int lost;        /* < 0: see port_note_lost(); relaxed: alone */
    struct loss loss;        /* what the server said */
    _Atomic bool has_failed; /* without reconnects; relaxed: the link says the same */
    struct lk lock;          /* with reconnects; before those of the connections */
    struct cv changed;       /* the state, or users is 0, or who was followed is gone */
    struct nbd_locked {
        enum nbd_state state;
        struct nbd_link *link; /* without reconnects constant; else LOST and
                                * CONNECTING: of the server that is gone */
        unsigned users;        /* threads in it */
        struct unacked_table unacked;
    } locked_; /* reach it only through nbd_locked() */
};

static struct nbd_port *
nbd_port(struct port *p)
{
    return (struct nbd_port *)p;
}

static struct nbd_locked *
nbd_locked(struct nbd_port *n) LK_REQUIRES(n->lock)
{
    return &n->locked_;
}

static void
tell(const struct nbd_port *n, const char *text)
{
    if (n->opts.told != NULL) {
        n->opts.told(n->opts.told_opaque, text);
    }
}

static int
open_link(struct nbd_port *n, uint64_t deadline_ns, struct err *e,
          struct nbd_link **ret_link, struct port_info *ret_info)
{
    int rc = nbd_link_open(n->uri, n->opts.connections, n->opts.reconnects, deadline_ns,
                           e, ret_link);

    if (rc == 0) {
        *ret_info = nbd_link_info(*ret_link);
        ret_info->caps &= ~(n->opts.readonly ? WRITE_CAPS : 0U);
    }
    return rc;
}

static void
fail_for_good(struct nbd_port *n)
{
    if (!atomic_exchange_explicit(&n->has_failed, true, memory_order_relaxed)) {
        tell(n, "the server of its device has hung up: requests fail until the service "
                "is started again");
    }
}

static int
submit_once(struct nbd_port *n, const struct req *rq)
{
    int rc = nbd_link_submit(n->locked_.link, rq); /* constant */

    if (rc == -ENOTCONN) {
        fail_for_good(n);
    }
    /* Our clients would take -ESHUTDOWN for "not the owner any more". */
    return rc == -ENOTCONN || rc == -ESHUTDOWN ? -EIO : rc;
}

/* May the port, whose info stays, go on with a server that says this? */
static int
can_go_on(const struct nbd_port *n, const struct port_info *info, struct err *why)
{
    const uint32_t less = n->port.info.caps & ~info->caps;
    int rc = port_info_can_replace(&n->port.info, info, why);

    if (rc == 0 && less != 0) { /* port_submit() would not make up for it */
        rc = err_set(
            why, -EINVAL,
            "the server no longer offers all that it offered before (missing: 0x%x)",
            (unsigned)less);
    }
    return rc < 0 ? err_prefix(why, rc, "%s", n->uri) : 0;
}

/* One attempt. True: there is a link again. The state is CONNECTING, by this thread. */
static bool
try_again(struct nbd_port *n, uint64_t deadline_ns, struct err *why)
    LK_REQUIRES(n->lock)
{
    struct nbd_locked *l = nbd_locked(n);
    struct nbd_link *next = NULL, *old = l->link;
    pid_t pid = nbd_link_still_runs(old);
    struct port_info info;
    int rc;

    if (pid != 0) {
        (void)err_set(why, -EBUSY,
                      "the server's process %d has not ended and may still perform "
                      "requests that it was sent",
                      (int)pid);
        return false;
    }
    lk_release(&n->lock);
    rc = open_link(n, clock_earlier(deadline_ns, clock_deadline_ns(CONNECT_NS)), why,
                   &next, &info);
    if (rc == 0) {
        rc = can_go_on(n, &info, why);
    }
    nbd_link_close(rc < 0 ? next : old);
    lk_acquire(&n->lock);
    if (rc == 0) {
        l->link = next;
    }
    return rc == 0;
}

/* The state is LOST: become who connects, for as long as u's time lasts. */
static void
reconnect(struct nbd_port *n, const struct unacked *u) LK_REQUIRES(n->lock)
{
    struct nbd_locked *l = nbd_locked(n);
    uint64_t end_ns = unacked_deadline_ns(u), pause_ns = BACKOFF_MIN_NS, next_ns;
    struct err told = {0};

    l->state = NBD_CONNECTING;
    while (l->users > 0) { /* its connections are shut down, so they leave */
        (void)cv_wait_until(&n->changed, &n->lock, CLOCK_NEVER);
    }
    while (l->state == NBD_CONNECTING && !unacked_is_over(u)) {
        struct err why = {0};

        if (try_again(n, end_ns, &why)) {
            l->state = NBD_UP;
            break;
        }
        if (strcmp(why.msg, told.msg) != 0) {
            char text[sizeof why.msg + 80];

            told = why;
            (void)snprintf(text, sizeof text,
                           "the server of its device is gone; requests wait: %s",
                           why.msg);
            lk_release(&n->lock);
            tell(n, text);
            lk_acquire(&n->lock);
        }
        next_ns = clock_earlier(end_ns, clock_deadline_ns(pause_ns));
        pause_ns = clock_earlier(2 * pause_ns, BACKOFF_MAX_NS);
        while (clock_now_ns() < next_ns) {
            (void)cv_wait_until(&n->changed, &n->lock, next_ns); /* looked at above */
        }
    }
    l->state = l->state == NBD_UP ? NBD_UP : NBD_LOST;
    cv_broadcast(&n->changed);
    if (l->state == NBD_UP) {
        lk_release(&n->lock);
        tell(n, NULL);
        lk_acquire(&n->lock);
    }
}

/* UP -> LOST, and say so; the lock is released meanwhile. */
static void
lose(struct nbd_port *n) LK_REQUIRES(n->lock)
{
    nbd_link_shutdown(nbd_locked(n)->link);
    nbd_locked(n)->state = NBD_LOST;
    cv_broadcast(&n->changed);
    lk_release(&n->lock);
    tell(n, "the server of its device is gone; requests wait");
    lk_acquire(&n->lock);
}

/* Wait until there is a link and it is u's turn, and become a user of it. 0, or -ETIME
 * when its time is over. */
static int
enter(struct nbd_port *n, const struct unacked *u) LK_REQUIRES(n->lock)
{
    struct nbd_locked *l = nbd_locked(n);

    for (;;) {
        if (unacked_is_over(u)) {
            return -ETIME;
        }
        if (l->state == NBD_UP && !unacked_has_to_follow(&l->unacked, u)) {
            l->users++;
            return 0;
        }
        if (l->state == NBD_LOST) {
            reconnect(n, u);
        } else { /* either way: look again */
            (void)cv_wait_until(&n->changed, &n->lock, unacked_deadline_ns(u));
        }
    }
}

static void
leave(struct nbd_port *n, bool is_answered) LK_REQUIRES(n->lock)
{
    struct nbd_locked *l = nbd_locked(n);

    l->users--;
    if (!is_answered && l->state == NBD_UP) {
        lose(n);
    }
    if (l->users == 0 && l->state != NBD_UP) {
        cv_broadcast(&n->changed);
    }
}

/* Until it is answered. A server that shuts down answers with -ESHUTDOWN first. -ETIME:
 * its time is over, which says nothing of what was acknowledged. */
static int
submit_until_answered(struct nbd_port *n, const struct req *rq)
{
    struct resumed_sink resumed = resumed_sink(rq->extents, rq->off);
    struct unacked u = {.rq = rq};
    struct req sent = *rq;
    bool is_answered = false;
    int rc = 0;

    sent.extents = rq->extents != NULL ? &resumed.sink : NULL;
    lk_acquire(&n->lock);
    unacked_arrive(&nbd_locked(n)->unacked, &u);
    while (!is_answered) {
        struct nbd_link *link;

        rc = enter(n, &u);
        if (rc < 0) {
            break;
        }
        link = nbd_locked(n)->link;
        lk_release(&n->lock);
        rc = nbd_link_submit(link, &sent);
        lk_acquire(&n->lock);
        is_answered = (rc != -ENOTCONN && rc != -ESHUTDOWN) || resumed.rc != 0;
        if (!is_answered) {
            unacked_doubt(&nbd_locked(n)->unacked, &u);
        }
        leave(n, is_answered);
    }
    if (unacked_depart(&nbd_locked(n)->unacked, &u)) {
        cv_broadcast(&n->changed);
    }
    lk_release(&n->lock);
    return rc;
}

static int
submit(struct nbd_port *n, const struct req *rq)
{
    return n->opts.reconnects ? submit_until_answered(n, rq) : submit_once(n, rq);
}

static void
nbd_note_lost(struct port *p, int rc)
{
    int none = 0;

    (void)atomic_compare_exchange_strong_explicit(
        &nbd_port(p)->lost, &none, rc, memory_order_relaxed, memory_order_relaxed);
}

/* What an earlier loss makes of a flush that is about to begin. */
static int
before_flush(struct nbd_port *n, const struct req *rq)
{
    int rc = atomic_load_explicit(&n->lost, memory_order_relaxed);

    return rc < 0 ? rc : loss_tell(&n->loss, rq->requester);
}

/* A failed flush is told to its requester and, by loss.h, to all others. So is a
 * durable change that succeeds when it need not be durable: it has failed for what was
 * there before. A server does not say whether it may still have what it could not
 * write, so a requester that was told may try again. */
static int
nbd_submit(struct port *p, const struct req *rq)
{
    struct nbd_port *n = nbd_port(p);
    struct req plain = *rq;
    int rc;

    if (rq->op == REQ_FLUSH) {
        rc = before_flush(n, rq);
        if (rc < 0) {
            return rc;
        }
    }
    rc = submit(n, rq);
    plain.flags &= ~REQ_F_FUA;
    if (rc == -ETIME) {
        return -EIO; /* nobody waited for what the server says */
    }
    if (rc < 0 && rq->op == REQ_FLUSH) {
        loss_note(&n->loss, rc);
        if (rq->requester != REQ_OF_OURS) {
            (void)loss_tell(&n->loss, rq->requester); /* by this answer */
        }
    } else if (rc < 0 && (rq->flags & REQ_F_FUA) != 0 && submit(n, &plain) == 0) {
        loss_note(&n->loss, rc);
    } else if (rc == 0 && rq->op == REQ_FLUSH) {
        rc = loss_tell(&n->loss, rq->requester); /* of what was noted meanwhile */
    }
    return rc;
}

static void
nbd_close_port(struct port *p)
{
    struct nbd_port *n = nbd_port(p);

    nbd_link_close(n->locked_.link); /* all others have gone */
    loss_done(&n->loss);
    cv_done(&n->changed);
    lk_done(&n->lock);
    free(n->uri);
    free(n);
}

static const struct port_ops nbd_ops = {
    .name = "nbd",
    .says_may_block = true,
    .submit = nbd_submit,
    .note_lost = nbd_note_lost,
    .close = nbd_close_port,
};

int
port_nbd_open(const struct port_nbd_opts *opts, struct err *e, struct port **ret_port)
{
    struct nbd_port *n = calloc(1, sizeof *n);
    int rc = -ENOMEM;

    assert(opts->connections >= 1 && opts->connections <= NBD_LINK_MAX);
    if (n == NULL) {
        return err_set(e, rc, "%s: out of memory", opts->uri);
    }
    n->port.ops = &nbd_ops;
    n->opts = *opts;
    n->opts.uri = NULL; /* it need not last */
    loss_init(&n->loss);
    lk_init(&n->lock);
    cv_init(&n->changed);
    unacked_init(&n->locked_.unacked);
    n->uri = strdup(opts->uri);
    rc = n->uri == NULL ? err_set(e, rc, "%s: out of memory", opts->uri)
                        : open_link(n, clock_deadline_ns(CONNECT_NS), e,
                                    &n->locked_.link, &n->port.info);
    if (rc < 0) {
        nbd_close_port(&n->port);
        return rc;
    }
    *ret_port = &n->port;
    return 0;
}

void
port_nbd_look(struct port *p)
{
    struct nbd_port *n = nbd_port(p);

    assert(p->ops == &nbd_ops);
    if (!n->opts.reconnects) {
        if (!nbd_link_is_alive(n->locked_.link)) { /* constant */
            fail_for_good(n);
        }
        return;
    }
    lk_acquire(&n->lock);
    if (nbd_locked(n)->state == NBD_UP && !nbd_link_is_alive(nbd_locked(n)->link)) {
        lose(n);
    }
    lk_release(&n->lock);
}
