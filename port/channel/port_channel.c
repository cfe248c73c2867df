/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of unacknowledged requests is the threads that are inside submit: each has
 * its request, and sends it again by itself when a link ends without an answer
 * (channel.h). What a link left unanswered is doubtful, and newer requests follow:
 * unacked.h. What was acknowledged and not flushed is kept, if the disk's policy says
 * so and the owner could vanish without us: unflushed.h. A new link begins with what is
 * lost of it.
 *
 * A request whose time is over ends without an answer, after its link was broken: what
 * is submitted later goes over a newer link, and the owner fences the older one first.
 *
 * A write with FUA is durable and not kept, nor is any that an owner on our own machine
 * has acknowledged, unless older kept writes to the same place would be sent again over
 * it. */
#include "port_channel.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "clock.h"
#include "req_trace.h"
#include "resumed_sink.h"
#include "unflushed_step.h"

#define FAREWELL_NS NS_PER_S /* for the last answers of an owner that gives way */
#define KEEP_BYTES (UINT64_C(32) << 20)

static struct channel *
channel(struct port *p)
{
    return (struct channel *)p;
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
            channel_reconnect(c, u);
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
        channel_break(c, rc);
    }
    if (l->users == 0 && l->state != CHANNEL_UP) {
        cv_broadcast(&c->changed);
    }
}

/* Send rq until it is answered. */
static int
perform(struct channel *c, const struct req *rq, bool *ret_is_flush_recommended)
{
    struct resumed_sink resumed = resumed_sink(rq->extents, rq->off);
    struct unacked u = {.rq = rq};
    struct req sent = *rq;
    struct unflushed_step step = {0};
    bool is_answered = false, has_to_grow;
    unsigned nr_sent = 0;
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
        unflushed_step_begin(c, &step, rq);
        lk_release(&c->lock);
        if (nr_sent++ > 0) {
            req_trace("sent-again", lanes->name, rq);
        }
        rc = unflushed_step_copy(&step, rq);
        if (rc == 0) {
            rc = port_submit(&lanes->port, &sent);
        }
        lk_acquire(&c->lock);
        is_answered = (rc != -ENOTCONN && rc != -ESHUTDOWN) || resumed.rc != 0;
        if (is_answered) {
            rc = unflushed_step_end(c, &step, rq, rc);
        } else { /* also -ESHUTDOWN: it may have been the second of several (port.h) */
            req_trace("unanswered", lanes->name, rq);
            unacked_doubt(&channel_locked(c)->unacked, &u);
        }
        leave(c, is_answered, rc);
    }
    if (unacked_depart(&channel_locked(c)->unacked, &u)) {
        cv_broadcast(&c->changed); /* requests that have to follow it may go */
    }
    has_to_grow = is_answered && channel_has_to_grow(c);
    lk_release(&c->lock);
    if (has_to_grow) {
        channel_grow(c);
    }
    if (rc == -ESTALE && rq->ret_arrival != NULL) {
        *rq->ret_arrival = u.arrival;
    }
    free(step.copy); /* the owner has refused it, or may not forget it */
    *ret_is_flush_recommended = step.is_flush_recommended;
    return rc;
}

/* What an owner says to one flush all requesters hear (loss.h). Flushes of our own fail
 * until somebody has: one that succeeded would have the copies of what is lost
 * forgotten. */
static int
flush(struct channel *c, const struct req *rq)
{
    int rc = loss_tell(&c->loss, rq->requester);
    bool ignored; /* a flush adds nothing */

    if (rc == 0) {
        rc = perform(c, rq, &ignored);
    }
    return rc == 0 ? loss_tell(&c->loss, rq->requester)
                   : rc; /* of what came meanwhile */
}

/* Of our own, on behalf of a request that is waited for until deadline_ns (0: without
 * end). is_flushing was set by this thread. */
static int
flush_and_tell(struct channel *c, uint64_t deadline_ns)
{
    const struct req rq = {
        .op = REQ_FLUSH, .requester = REQ_OF_OURS, .deadline_ns = deadline_ns};
    int rc = flush(c, &rq);
    LK_GUARD(&c->lock);

    channel_locked(c)->is_flushing = false;
    cv_broadcast(&c->changed);
    return rc;
}

/* rq, a change, is about to be sent and could not be kept: wait for a flush. An error:
 * it cannot be had, or not in time; so its requester has heard of a loss. */
static int
make_room(struct channel *c, const struct req *rq)
{
    const struct unacked u = {.rq = rq}; /* in no table: nothing of it was sent */
    int rc = 0;

    lk_acquire(&c->lock);
    while (rc == 0 && unflushed_is_full(&channel_locked(c)->unflushed)) {
        if (unacked_is_over(&u)) {
            rc = -EIO;
        } else if (channel_locked(c)->is_flushing) { /* its thread says when it has */
            (void)cv_wait_until(&c->changed, &c->lock, unacked_deadline_ns(&u));
        } else {
            channel_locked(c)->is_flushing = true;
            lk_release(&c->lock);
            rc = flush_and_tell(c, rq->deadline_ns);
            if (rc < 0 && rq->requester != REQ_OF_OURS) {
                (void)loss_tell(&c->loss, rq->requester);
            }
            lk_acquire(&c->lock);
        }
    }
    lk_release(&c->lock);
    return rc;
}

static int
channel_submit(struct port *p, const struct req *rq)
{
    struct channel *c = channel(p);
    bool is_flush_recommended = false;
    struct req durable = *rq;
    int rc;

    if (c->durability == CHANNEL_WRITETHROUGH && req_is_change(rq)) {
        durable.flags |= REQ_F_FUA;
        return perform(c, &durable, &is_flush_recommended);
    }
    if (rq->op == REQ_FLUSH) {
        return flush(c, rq);
    }
    rc = c->durability == CHANNEL_KEEP && req_is_change(rq) ? make_room(c, rq) : 0;
    if (rc == 0) {
        rc = perform(c, rq, &is_flush_recommended);
    }
    if (is_flush_recommended) {
        /* If it fails the next one of a VM says so, or make_room(). */
        (void)flush_and_tell(c, rq->deadline_ns);
    }
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
    unflushed_done(&channel_locked(c)->unflushed);
    channel_count_unflushed(c);
    lk_release(&c->lock);
    channel_lanes_close(lanes);
    loss_done(&c->loss);
    cv_done(&c->changed);
    lk_done(&c->lock);
    channel_route_done(&c->route);
    free(c);
}

static const struct port_ops channel_ops = {
    .name = "channel",
    .says_may_block = true,
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
    c->durability = opts->durability;
    c->count = opts->unflushed;
    c->has_vm = opts->has_vm;
    c->has_vm_opaque = opts->has_vm_opaque;
    (void)snprintf(c->here, sizeof c->here, "%s", opts->here != NULL ? opts->here : "");
    lk_init(&c->lock);
    cv_init(&c->changed);
    loss_init(&c->loss);
    unacked_init(&c->locked_.unacked);
    unflushed_init(&c->locked_.unflushed,
                   opts->keep_bytes != 0 ? opts->keep_bytes : KEEP_BYTES);
    rc = channel_route_init(&c->route, opts);
    if (rc < 0) {
        channel_close(&c->port);
        return rc;
    }
    *ret_port = &c->port;
    return 0;
}

void
port_channel_inherit(struct port *p)
{
    struct channel *c = channel(p);
    LK_GUARD(&c->lock);

    channel_locked(c)->has_inherited = true;
}

int
port_channel_connect(struct port *p, uint64_t deadline_ns, struct err *e)
{
    struct channel *c = channel(p);
    LK_GUARD(&c->lock);
    struct channel_locked *l = channel_locked(c);

    if (l->state == CHANNEL_UP && !channel_lanes_are_alive(l->lanes)) {
        channel_break(c, -ENOTCONN);
    }
    l->next_try_ns = 0; /* a request that has backed off does it for us */
    cv_broadcast(&c->changed);
    while (l->state == CHANNEL_CONNECTING || l->state == CHANNEL_RESENDING) {
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
    return channel_connect(c, deadline_ns, e);
}

void
port_channel_hurry(struct port *p)
{
    struct channel *c = channel(p);
    LK_GUARD(&c->lock);

    channel_locked(c)->backoff_ns = 0;
    channel_locked(c)->next_try_ns = 0;
    cv_broadcast(&c->changed);
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
    channel_set_state(c, CHANNEL_RECALLED);
    channel_route_cancel(&c->route);
    channel_await_users(c, clock_deadline_ns(FAREWELL_NS));
}

int
port_channel_hand_over(struct port *p, const struct channel_owner *next,
                       struct port *to, uint64_t *ret_nr)
{
    struct channel *c = channel(p);
    struct unflushed_piece *pieces;
    size_t nr;
    int rc;
    LK_GUARD(&c->lock);
    struct channel_locked *l = channel_locked(c);

    assert(l->state == CHANNEL_RECALLED);
    unflushed_meet(&l->unflushed, next);
    *ret_nr = 0;
    rc = unflushed_plan(&l->unflushed, &pieces, &nr);
    if (rc == 0) {
        for (size_t i = 0; i < nr; i++) {
            if (!channel_is_owed(c, &pieces[i])) {
                continue;
            }
            *ret_nr += i == 0 || pieces[i].change != pieces[i - 1].change;
            rc = channel_send_again(c, to, &pieces[i], 0);
            l->unflushed_rc = l->unflushed_rc < 0 ? l->unflushed_rc : rc;
        }
        free(pieces);
    } else {
        l->unflushed_rc = l->unflushed_rc < 0 ? l->unflushed_rc : rc;
    }
    if (l->unflushed_rc < 0) {
        port_note_lost(to, l->unflushed_rc); /* flushes that failed here fail there */
    }
    return l->unflushed_rc;
}

void
port_channel_status(struct port *p, struct port_channel_status *ret_status)
{
    struct channel *c = channel(p);
    LK_GUARD(&c->lock);
    const struct channel_locked *l = channel_locked(c);

    ret_status->is_connected =
        l->state == CHANNEL_UP && channel_lanes_are_alive(l->lanes);
    ret_status->lanes = l->state == CHANNEL_UP ? l->lanes->nr : 0;
    ret_status->unacknowledged = l->unacked.nr;
    ret_status->reconnects =
        l->nr_links > l->nr_rests ? l->nr_links - l->nr_rests - 1 : 0;
}
