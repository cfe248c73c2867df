/* SPDX-License-Identifier: BSD-3-Clause */
/* Idea: the gate is one word that everybody reads and hardly anybody writes. A request
 * counts itself (ledger stripe), then looks at the gate. Closing the gate and then
 * summing the counters, all seq_cst, therefore sees every request that passed it: what
 * was accepted and has neither ended nor is waiting in the queue is at the port.
 *
 *   request:  accepted++            drainer:  gate = closed
 *             gate open?  -> port             sum == waiting?  -> drained
 *             ended++                         else wait for `changed`
 *             gate closed? -> drained? -> wake drainer
 *
 * Either the drainer's sum sees ended++, or the request sees the closed gate and, under
 * the lock, sums for the drainer: the last one wakes it. No wake-up is lost, no polling
 * is needed, and a drain of many requests wakes the drainer once.
 *
 * A port that is recalled gives requests back with -ESTALE. They were accepted before
 * anything that is queued and go to the head of the queue. That happens only while the
 * gate is closed.
 */
#include "redirector.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "redir_state.h"
#include "underway.h"

static struct redir *
of(struct port *p)
{
    return (struct redir *)p; /* port is the first member */
}

static enum ledger_outcome
outcome(const struct redir *r, int rc)
{
    if (rc == -ESTALE) {
        return LEDGER_BOUNCED;
    }
    if (rc < 0) {
        return LEDGER_FAILED;
    }
    return r->side == REDIR_LOCAL ? LEDGER_LOCAL : LEDGER_REMOTE;
}

/* Perform rq at the active port. A channel request is never sent on by port B (the
 * owner moved while it was on its way in): its client sends it to the new owner.
 * Port A is never recalled: -ESTALE from it is what the device said (a file on NFS). */
static int
perform(struct redir *r, const struct req *rq, uint64_t deadline_ns,
        uint64_t *ret_arrival)
{
    struct req sent;
    int rc;

    if (r->side == REDIR_LOCAL && deadline_ns == CLOCK_NEVER) {
        rc = port_submit(r->active, rq); /* the usual way, without a copy */
        return rc == -ESTALE ? -EIO : rc;
    }
    if (r->side == REDIR_REMOTE && rq->origin != NULL) {
        return -ESTALE;
    }
    sent = *rq;
    if (deadline_ns != CLOCK_NEVER) { /* the port may wait for a server, on our time */
        sent.deadline_ns = deadline_ns;
    }
    if (r->side == REDIR_REMOTE) {
        sent.ret_arrival = ret_arrival;
        return port_submit(r->active, &sent);
    }
    rc = port_submit(r->active, &sent);
    return rc == -ESTALE ? -EIO : rc;
}

static bool
is_over(const struct held *e)
{
    return e->deadline_ns != CLOCK_NEVER && clock_now_ns() >= e->deadline_ns;
}

/* Wait until e may go, was bounced (-ESTALE), or fail-after has passed (-EIO). */
static int
wait_turn(struct redir *r, struct held *e) LK_REQUIRES(r->lock)
{
    struct redir_locked *l = redir_locked(r);
    uint64_t held_ns;

    while (e->state == HELD_WAITING && !is_over(e)) {
        (void)cv_wait_until(&e->woken, &r->lock, /* either way: look again */
                            clock_earlier(e->deadline_ns, l->pause_end_ns));
        redir_end_pause_if_due(r);
    }
    held_ns = clock_now_ns() - e->since_ns;
    if (held_ns > l->max_held_ns) {
        l->max_held_ns = held_ns;
    }
    switch (e->state) {
    case HELD_WAITING:
        return -EIO;
    case HELD_RUNNING:
        return 0;
    case HELD_BOUNCED:
        return -ESTALE;
    }
    return -EIO;
}

/* e is in the queue: see it through. Called and left with the lock held. */
static int
see_through(struct redir *r, struct ledger_stripe *s, struct held *e)
    LK_REQUIRES(r->lock)
{
    struct redir_locked *l = redir_locked(r);
    int rc;

    for (;;) {
        rc = wait_turn(r, e);
        if (rc < 0) {
            break;
        }
        lk_release(&r->lock);
        rc = perform(r, e->rq, e->deadline_ns, NULL); /* it keeps its place here */
        lk_acquire(&r->lock);
        if (rc != -ESTALE || e->rq->origin != NULL) {
            break;
        }
        assert(l->state !=
               REDIR_OPEN);           /* only a port behind a closed gate is recalled */
        e->since_ns = clock_now_ns(); /* at the port it was not held: for the status */
        hold_queue_return(&l->queue, e);
        l->held++;
        redir_tell_drain(r);
        if (l->state == REDIR_REPLAYING) {
            hold_queue_dispatch(&l->queue);
        }
    }
    ledger_end(s, outcome(r, rc));
    hold_queue_remove(&l->queue, e, l->state == REDIR_REPLAYING);
    redir_open_if_replayed(r);
    redir_tell_drain(r);
    return rc;
}

static int
submit_recalled(struct redir *r, struct ledger_stripe *s, const struct req *rq,
                uint64_t deadline_ns, uint64_t arrival)
{
    struct held e = {.rq = rq,
                     .since_ns = clock_now_ns(),
                     .deadline_ns = deadline_ns,
                     .recalled = arrival};
    int rc;

    cv_init(&e.woken);
    lk_acquire(&r->lock);
    assert(redir_locked(r)->state != REDIR_OPEN);
    hold_queue_prepend(&redir_locked(r)->queue, &e);
    redir_locked(r)->held++;
    redir_tell_drain(r);
    if (redir_locked(r)->state == REDIR_REPLAYING) {
        hold_queue_dispatch(&redir_locked(r)->queue);
    }
    rc = see_through(r, s, &e);
    lk_release(&r->lock);
    cv_done(&e.woken);
    return rc;
}

/* rq passed the gate: perform it. */
static int
submit_open(struct redir *r, struct ledger_stripe *s, const struct req *rq,
            uint64_t deadline_ns)
{
    uint64_t arrival = 0;
    int rc = perform(r, rq, deadline_ns, &arrival);

    if (rc == -ESTALE && rq->origin == NULL) {
        return submit_recalled(r, s, rq, deadline_ns, arrival);
    }
    ledger_end(s, outcome(r, rc));
    if (!atomic_load(&r->is_gate_open)) {
        LK_GUARD(&r->lock);
        redir_tell_drain(r);
    }
    return rc;
}

/* rq found the gate closed: queue it, unless that has changed meanwhile, or what was
 * held is being replayed and does not concern it. */
static int
submit_closed(struct redir *r, struct ledger_stripe *s, const struct req *rq,
              uint64_t deadline_ns)
{
    struct held e = {.rq = rq, .since_ns = clock_now_ns(), .deadline_ns = deadline_ns};
    struct redir_locked *l;
    int rc;

    cv_init(&e.woken);
    lk_acquire(&r->lock);
    l = redir_locked(r);
    e.is_late = l->state == REDIR_REPLAYING;
    if (l->state == REDIR_OPEN || (e.is_late && !hold_queue_blocks(&l->queue, rq))) {
        lk_release(&r->lock);
        cv_done(&e.woken);
        return submit_open(r, s, rq, deadline_ns);
    }
    hold_queue_append(&l->queue, &e);
    l->held++;
    redir_tell_drain(r); /* it counts as waiting now */
    rc = see_through(r, s, &e);
    lk_release(&r->lock);
    cv_done(&e.woken);
    return rc;
}

static int
redir_submit(struct port *p, const struct req *rq)
{
    struct redir *r = of(p);
    struct ledger_stripe *s = ledger_stripe(&r->ledger);
    /* With the default policy nobody looks at the clock. */
    uint64_t deadline_ns = r->fail_after_ns == CLOCK_NEVER
                               ? CLOCK_NEVER
                               : clock_deadline_ns(r->fail_after_ns);

    underway_at(r);
    ledger_accept(s);
    if (__builtin_expect(atomic_load(&r->is_gate_open), 1)) {
        return submit_open(r, s, rq, deadline_ns);
    }
    return submit_closed(r, s, rq, deadline_ns);
}

static int
redir_identify(struct port *p, char *id, int id_size)
{
    struct port *active = redir_active(of(p));

    id[0] = '\0';
    return active != NULL ? port_identify(active, id, id_size) : 0;
}

static void
redir_port_close(struct port *p)
{
    (void)p; /* the redirector outlives the stacks above it; see redir_free() */
}

static const struct port_ops redir_ops = {
    .name = "redirector",
    .says_may_block = true,
    .submit = redir_submit,
    .identify = redir_identify,
    .close = redir_port_close,
};

/* What a port is made up for by several requests (port.h) passes the gate as one, and
 * is made up for behind it: between two of them nothing is sent back as not performed.
 */
static uint32_t
native_caps(uint32_t caps)
{
    caps |= (caps & PORT_CAN_FLUSH) != 0 ? PORT_CAN_FUA : 0;
    return caps | ((caps & PORT_CAN_WRITE) != 0 ? PORT_CAN_ZERO : 0);
}

int
redir_new(const char *id, const struct port_info *info, uint64_t fail_after_ns,
          struct redir **ret_r)
{
    struct redir *r = aligned_alloc(_Alignof(struct redir), sizeof *r);

    if (r == NULL) {
        return -ENOMEM;
    }
    *r = (struct redir){
        .port = {.ops = &redir_ops, .info = *info},
        .side = REDIR_LOCAL,
        .fail_after_ns = fail_after_ns,
        .locked_ = {.state = REDIR_QUIESCED, .pause_end_ns = CLOCK_NEVER},
    };
    r->port.info.caps = native_caps(info->caps);
    (void)snprintf(r->id, sizeof r->id, "%s", id); /* only a name in traces */
    hold_queue_init(&r->locked_.queue);
    lk_init(&r->lock);
    cv_init(&r->changed);
    *ret_r = r;
    return 0;
}

struct port *
redir_port(struct redir *r)
{
    return &r->port;
}

void
redir_free(struct redir *r)
{
    if (r == NULL) {
        return;
    }
    assert(ledger_unfinished(&r->ledger) == 0);
    port_close(r->active);
    cv_done(&r->changed);
    lk_done(&r->lock);
    free(r);
}
