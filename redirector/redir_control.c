/* SPDX-License-Identifier: BSD-3-Clause */
/* The way of a handoff: hold, drain, swap, release, and what can be asked meanwhile. */
#include <assert.h>
#include <errno.h>

#include "clock.h"
#include "redir_state.h"
#include "trace.h"
#include "underway.h"

const char redir_all_channels[] = "all channels";

const char *
redir_state_name(enum redir_state s)
{
    static const char *const names[REDIR_NR_STATES] = {"open", "holding", "quiesced",
                                                       "replaying"};

    assert((unsigned)s < REDIR_NR_STATES);
    return names[s];
}

/* The only writer of the state; opens and closes the gate with it. */
static void
set_state(struct redir *r, enum redir_state next) LK_REQUIRES(r->lock)
{
    static const bool allowed[REDIR_NR_STATES][REDIR_NR_STATES] = {
        [REDIR_OPEN] = {[REDIR_HOLDING] = true},
        [REDIR_HOLDING] = {[REDIR_QUIESCED] = true, [REDIR_REPLAYING] = true},
        [REDIR_QUIESCED] = {[REDIR_REPLAYING] = true},
        [REDIR_REPLAYING] = {[REDIR_OPEN] = true, [REDIR_HOLDING] = true},
    };
    struct redir_locked *l = redir_locked(r);

    trace_state("redirector", r->id, redir_state_name(l->state),
                redir_state_name(next));
    assert(allowed[l->state][next]);
    l->state = next;
    l->pause_end_ns = CLOCK_NEVER;
    atomic_store(&r->is_gate_open, next == REDIR_OPEN);
    cv_broadcast(&r->changed);
}

void
redir_open_if_replayed(struct redir *r)
{
    struct redir_locked *l = redir_locked(r);

    if (l->state == REDIR_REPLAYING && l->queue.nr_held == 0) {
        set_state(r, REDIR_OPEN);
        hold_queue_dispatch(&l->queue);
    }
}

static void
close_gate(struct redir *r) LK_REQUIRES(r->lock)
{
    struct redir_locked *l = redir_locked(r);

    l->is_drain_cancelled = false;
    l->max_held_ns = 0;
    l->held = l->queue.nr_waiting;
    l->queue.nr_sent = 0;
    set_state(r, REDIR_HOLDING);
    hold_queue_rehold(&l->queue);
}

static bool
is_paused(struct redir *r) LK_REQUIRES(r->lock)
{
    return redir_locked(r)->pause_end_ns != CLOCK_NEVER;
}

int
redir_hold(struct redir *r)
{
    struct redir_locked *l;
    LK_GUARD(&r->lock);

    l = redir_locked(r);
    if (is_paused(r)) {
        l->pause_end_ns = CLOCK_NEVER;
        cv_broadcast(&r->changed); /* who awaits the pause */
        return 0;
    }
    if (l->state != REDIR_OPEN && l->state != REDIR_REPLAYING) {
        trace_refused("redirector", r->id, redir_state_name(l->state), "holding");
        return -EBUSY;
    }
    close_gate(r);
    return 0;
}

int
redir_pause(struct redir *r, uint64_t until_ns)
{
    LK_GUARD(&r->lock);

    if (redir_locked(r)->state != REDIR_OPEN) {
        trace_refused("redirector", r->id, redir_state_name(redir_locked(r)->state),
                      "paused");
        return -EBUSY;
    }
    close_gate(r);
    redir_locked(r)->pause_end_ns = until_ns;
    return 0;
}

static bool
is_drained(struct redir *r) LK_REQUIRES(r->lock)
{
    return ledger_unfinished(&r->ledger) == redir_locked(r)->queue.nr_waiting;
}

void
redir_tell_drain(struct redir *r)
{
    if (redir_locked(r)->state == REDIR_HOLDING && is_drained(r)) {
        cv_broadcast(&r->changed);
    }
}

int
redir_await_pause(struct redir *r, uint64_t deadline_ns)
{
    LK_GUARD(&r->lock);

    while (is_paused(r) && !is_drained(r)) {
        if (cv_wait_until(&r->changed, &r->lock, deadline_ns) == -ETIMEDOUT) {
            break;
        }
    }
    return is_paused(r) && is_drained(r) ? 0 : -ETIMEDOUT;
}

int
redir_drain(struct redir *r, uint64_t deadline_ns)
{
    struct redir_ledger sum;
    struct redir_locked *l;
    LK_GUARD(&r->lock);

    l = redir_locked(r);
    while (l->state == REDIR_HOLDING && !is_paused(r) && !l->is_drain_cancelled &&
           !is_drained(r)) {
        if (cv_wait_until(&r->changed, &r->lock, deadline_ns) == -ETIMEDOUT &&
            !is_drained(r)) {
            return -ETIMEDOUT;
        }
    }
    if (l->state != REDIR_HOLDING || is_paused(r)) {
        trace_refused("redirector", r->id, redir_state_name(l->state), "quiesced");
        return -EBUSY;
    }
    if (l->is_drain_cancelled) {
        l->is_drain_cancelled = false;
        return -ECANCELED;
    }
    set_state(r, REDIR_QUIESCED);
    sum = ledger_sum(&r->ledger);
    l->performed_at_quiesce = sum.local + sum.remote;
    return 0;
}

void
redir_cancel_drain(struct redir *r)
{
    LK_GUARD(&r->lock);

    redir_locked(r)->is_drain_cancelled = true;
    cv_broadcast(&r->changed);
}

int
redir_swap(struct redir *r, struct port *next, enum redir_side side, struct err *e,
           struct port **ret_old)
{
    LK_GUARD(&r->lock);

    if (redir_locked(r)->state != REDIR_QUIESCED) {
        return err_set(e, -EBUSY, "the disk is %s, not quiesced",
                       redir_state_name(redir_locked(r)->state));
    }
    if (next != NULL) {
        int rc = port_info_can_replace(&r->port.info, &next->info, e);

        if (rc < 0) {
            return rc;
        }
    }
    *ret_old = r->active;
    r->active = next;
    r->side = side;
    return 0;
}

static void
let_go(struct redir *r) LK_REQUIRES(r->lock)
{
    set_state(r, REDIR_REPLAYING);
    hold_queue_dispatch(&redir_locked(r)->queue);
    redir_open_if_replayed(r);
}

void
redir_end_pause_if_due(struct redir *r)
{
    if (is_paused(r) && clock_now_ns() >= redir_locked(r)->pause_end_ns) {
        let_go(r);
    }
}

void
redir_end_pause(struct redir *r)
{
    LK_GUARD(&r->lock);

    if (is_paused(r)) {
        let_go(r);
    }
}

int
redir_release(struct redir *r)
{
    struct redir_locked *l;
    LK_GUARD(&r->lock);

    l = redir_locked(r);
    if (l->state != REDIR_HOLDING && l->state != REDIR_QUIESCED) {
        trace_refused("redirector", r->id, redir_state_name(l->state), "replaying");
        return -EBUSY;
    }
    if (r->active == NULL) {
        return -ENODEV;
    }
    let_go(r);
    return 0;
}

int
redir_wait_open(struct redir *r, uint64_t deadline_ns)
{
    LK_GUARD(&r->lock);

    while (redir_locked(r)->state != REDIR_OPEN && clock_now_ns() < deadline_ns) {
        (void)cv_wait_until(&r->changed, &r->lock, /* either way: look again */
                            clock_earlier(deadline_ns, redir_locked(r)->pause_end_ns));
        redir_end_pause_if_due(r);
    }
    return redir_locked(r)->state == REDIR_OPEN ? 0 : -ETIMEDOUT;
}

static bool
is_from(const struct held *e, const void *origin)
{
    if (origin == REDIR_ALL_CHANNELS) {
        return e->rq->origin != NULL;
    }
    return e->rq->origin == origin;
}

void
redir_bounce(struct redir *r, const void *origin)
{
    LK_GUARD(&r->lock);

    assert(origin != NULL);
    hold_queue_bounce(&redir_locked(r)->queue, is_from, origin);
}

struct port *
redir_active(struct redir *r)
{
    LK_GUARD(&r->lock);

    return r->active;
}

void
redir_status(struct redir *r, struct redir_status *ret_status)
{
    uint64_t oldest, begun_ns = underway_oldest_ns(r), now_ns = clock_now_ns();
    struct redir_locked *l;
    LK_GUARD(&r->lock);

    redir_end_pause_if_due(r);
    l = redir_locked(r);
    *ret_status = (struct redir_status){.state = l->state,
                                        .side = r->side,
                                        .queued = l->queue.nr_waiting,
                                        .max_held_ns = l->max_held_ns,
                                        .held = l->held,
                                        .replayed = l->queue.nr_sent,
                                        .ledger = ledger_sum(&r->ledger)};
    hold_queue_measure(&l->queue, &oldest, &ret_status->queued_bytes);
    ret_status->oldest_ns = oldest != 0 ? clock_now_ns() - oldest : 0;
    ret_status->under_way_ns =
        begun_ns != 0 && now_ns > begun_ns ? now_ns - begun_ns : 0;
    /* Not ledger_unfinished(): with the gate open it may be too low, below 0 even. What
     * waits was accepted before, so it is among what is pending. */
    ret_status->in_flight = ret_status->ledger.pending - l->queue.nr_waiting;
}

int
redir_check_ledger(struct redir *r, struct err *e)
{
    struct redir_ledger sum;
    struct redir_locked *l;
    LK_GUARD(&r->lock);

    l = redir_locked(r);
    sum = ledger_sum(&r->ledger);
    if (l->state != REDIR_QUIESCED || sum.pending < l->queue.nr_waiting ||
        sum.local + sum.remote != l->performed_at_quiesce) {
        return err_set(e, -EPROTO,
                       "the ledger of %s does not balance: accepted %llu, local %llu, "
                       "remote %llu, failed %llu, bounced %llu, queued %llu",
                       r->id, (unsigned long long)sum.accepted,
                       (unsigned long long)sum.local, (unsigned long long)sum.remote,
                       (unsigned long long)sum.failed, (unsigned long long)sum.bounced,
                       (unsigned long long)l->queue.nr_waiting);
    }
    return 0;
}
