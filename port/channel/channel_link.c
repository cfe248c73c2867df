/* SPDX-License-Identifier: BSD-3-Clause */
/* An owner that gives way (NBD_ESHUTDOWN, or a recall) still answers all it was sent:
 * performed, or not. These answers are taken before the lanes are shut down, because a
 * request that was performed and whose answer is thrown away would be performed twice.
 *
 * After a link that gave an answer the next is tried at once; otherwise the back-off
 * grows. An owner that answers some requests and refuses others with NBD_ESHUTDOWN
 * would then be asked for links as fast as it can give them, so a link that ends in a
 * refusal has to have lasted, too. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "channel.h"
#include "clock.h"
#include "req_trace.h"
#include "retry.h"
#include "trace.h"

#define FAREWELL_NS NS_PER_S /* for the last answers of an owner that gives way */
#define REPEAT_MIN_NS (10 * NS_PER_MS)  /* from the first error to the second try */
#define REPEAT_MAX_NS (640 * NS_PER_MS) /* before the last: 1.3 s in all */

static const bool channel_allowed[CHANNEL_NR_STATES][CHANNEL_NR_STATES] = {
    [CHANNEL_IDLE] = {[CHANNEL_CONNECTING] = true, [CHANNEL_RECALLED] = true},
    [CHANNEL_CONNECTING] =
        {
            [CHANNEL_IDLE] = true,
            [CHANNEL_RESENDING] = true,
            [CHANNEL_UP] = true,
            [CHANNEL_RECALLED] = true,
        },
    [CHANNEL_RESENDING] =
        {[CHANNEL_UP] = true, [CHANNEL_BROKEN] = true, [CHANNEL_RECALLED] = true},
    [CHANNEL_UP] =
        {[CHANNEL_BROKEN] = true, [CHANNEL_IDLE] = true, [CHANNEL_RECALLED] = true},
    [CHANNEL_BROKEN] = {[CHANNEL_CONNECTING] = true, [CHANNEL_RECALLED] = true},
};

static const char *const channel_state_names[CHANNEL_NR_STATES] = {
    "idle", "connecting", "resending", "up", "broken", "recalled"};

void
channel_set_state(struct channel *c, enum channel_state next)
{
    struct channel_locked *l = channel_locked(c);

    assert(channel_allowed[l->state][next]);
    trace_state("channel", c->route.name.uuid, channel_state_names[l->state],
                channel_state_names[next]);
    if (c->count != NULL && (next == CHANNEL_UP || l->state == CHANNEL_UP)) {
        atomic_store_explicit(&c->count->is_up, next == CHANNEL_UP,
                              memory_order_relaxed);
        atomic_store_explicit(&c->count->seen_ns, clock_now_ns(), memory_order_relaxed);
    }
    l->state = next;
    cv_broadcast(&c->changed);
}

void
channel_count_unflushed(struct channel *c)
{
    const struct unflushed_table *t = &channel_locked(c)->unflushed;

    if (c->count != NULL) {
        atomic_store_explicit(&c->count->nr, t->nr, memory_order_relaxed);
        atomic_store_explicit(&c->count->bytes, t->bytes, memory_order_relaxed);
    }
}

/* Channels of this process that have requests and no link; relaxed: it bounds. */
static _Atomic unsigned nr_reconnecting;

static void
back_off(struct channel *c) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);
    uint64_t next = l->backoff_ns != 0 ? l->backoff_ns * 2 : RETRY_MIN_NS;

    l->backoff_ns = clock_earlier(next, retry_max_ns(atomic_load_explicit(
                                            &nr_reconnecting, memory_order_relaxed)));
    l->next_try_ns = clock_deadline_ns(l->backoff_ns);
}

void
channel_break(struct channel *c, int rc)
{
    struct channel_locked *l = channel_locked(c);
    bool has_lasted = clock_now_ns() - l->since_ns >= RETRY_MIN_NS;

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
    channel_set_state(c, CHANNEL_BROKEN);
}

void
channel_await_users(struct channel *c, uint64_t deadline_ns)
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

    channel_await_users(c, l->farewell_ns != 0 ? l->farewell_ns : CLOCK_NEVER);
    old = l->lanes;
    l->lanes = NULL;
    lk_release(&c->lock);
    channel_lanes_close(old);
    lk_acquire(&c->lock);
}

bool
channel_is_owed(const struct channel *c, const struct unflushed_piece *piece)
{
    if (piece->rq.vm == 0 || c->has_vm == NULL ||
        c->has_vm(c->has_vm_opaque, piece->rq.vm)) {
        return true;
    }
    req_trace("kept-not-again", "", &piece->rq);
    return false;
}

int
channel_send_again(struct channel *c, struct port *to,
                   const struct unflushed_piece *piece, uint64_t deadline_ns)
{
    struct channel_locked *l = channel_locked(c);
    enum channel_state state = l->state;
    struct req rq = piece->rq;
    uint64_t pause_ns;
    int rc;

    rq.deadline_ns = deadline_ns;
    req_trace("kept-again", state == CHANNEL_RESENDING ? l->lanes->name : "own device",
              &rq);
    for (pause_ns = REPEAT_MIN_NS;; pause_ns *= 2) {
        uint64_t next_ns;

        lk_release(&c->lock);
        rc = port_submit(to, &rq); /* nobody takes anything out of the table */
        lk_acquire(&c->lock);
        if (rc == 0 || rc == -ENOTCONN || rc == -ESHUTDOWN || l->unflushed_rc != 0 ||
            pause_ns > REPEAT_MAX_NS) {
            return rc;
        }
        next_ns = clock_deadline_ns(pause_ns);
        while (l->state == state && clock_now_ns() < next_ns) {
            (void)cv_wait_until(&c->changed, &c->lock, next_ns); /* looked at above */
        }
        if (l->state != state) {
            return -ENOTCONN;
        }
    }
}

/* The change is as it should be again, or is given up: then every later flush says so.
 */
static void
settle(struct channel_locked *l, struct unflushed_change *k, int rc)
{
    if (rc == 0) {
        k->is_lost = false;
    } else {
        l->unflushed_rc = rc;
        unflushed_drop(&l->unflushed, k);
    }
}

/* One piece after the other. What the owner does not answer by deadline_ns ends the
 * link, and what is left stays lost for the next one. */
static int
resend_pieces(struct channel *c, const struct unflushed_piece *pieces, size_t nr,
              uint64_t deadline_ns) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);
    int worst = 0; /* of the pieces of one change */

    for (size_t i = 0; i < nr && l->state == CHANNEL_RESENDING; i++) {
        int rc = channel_is_owed(c, &pieces[i])
                     ? channel_send_again(c, &l->lanes->port, &pieces[i], deadline_ns)
                     : 0;

        if (rc == -ENOTCONN || rc == -ESHUTDOWN) {
            return rc;
        }
        l->has_answered = true;
        worst = worst < 0 ? worst : rc;
        if (i + 1 == nr || pieces[i + 1].change != pieces[i].change) {
            settle(l, pieces[i].change, worst);
            worst = 0;
        }
    }
    return l->state == CHANNEL_RESENDING ? 0 : -ESTALE;
}

static int
resend_all(struct channel *c, uint64_t deadline_ns) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);
    struct unflushed_piece *pieces;
    size_t nr;
    int rc = unflushed_plan(&l->unflushed, &pieces, &nr);

    if (rc < 0) {
        return rc;
    }
    rc = resend_pieces(c, pieces, nr, deadline_ns);
    free(pieces);
    return rc;
}

/* Lanes are there: afterwards the state is UP, BROKEN or RECALLED. */
static int
begin_link(struct channel *c, uint64_t deadline_ns, struct err *e) LK_REQUIRES(c->lock)
{
    struct channel_locked *l = channel_locked(c);
    int rc = 0;

    unflushed_meet(&l->unflushed, &l->lanes->owner);
    channel_count_unflushed(c);
    if (unflushed_next_lost(&l->unflushed, NULL) != NULL) {
        channel_set_state(c, CHANNEL_RESENDING);
        l->users++; /* a recall waits for us */
        rc = resend_all(c, deadline_ns);
        l->users--;
        channel_count_unflushed(c);
        cv_broadcast(&c->changed);
    }
    if (rc == 0) {
        channel_set_state(c, CHANNEL_UP);
    } else if (l->state == CHANNEL_RESENDING) {
        channel_break(c, rc);
    }
    return rc < 0 ? err_set(e, rc,
                            "the owner was lost while we sent it again what the owner "
                            "before it had acknowledged")
                  : 0;
}

/* The state is CONNECTING, by this thread; afterwards it is UP, IDLE, BROKEN or
 * RECALLED. */
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
        channel_set_state(c, CHANNEL_IDLE);
        return rc;
    }
    l->lanes = lanes;
    if (trace_on) {
        trace_write("event=connected for=%.*s address=%s unanswered=%u kept=%" PRIu64,
                    channel_name_shown(lanes->name), lanes->name, lanes->address,
                    l->unacked.nr, (uint64_t)l->unflushed.nr);
    }
    l->nr_links++;
    l->has_answered = false;
    l->is_grown = false;
    l->since_ns = clock_now_ns();
    return begin_link(c, deadline_ns, e);
}

int
channel_connect(struct channel *c, uint64_t deadline_ns, struct err *e)
{
    channel_set_state(c, CHANNEL_CONNECTING);
    drop_lanes(c);
    return try_connect(c, deadline_ns, e);
}

void
channel_reconnect(struct channel *c, const struct unacked *u)
{
    struct channel_locked *l = channel_locked(c);
    uint64_t end_ns = unacked_deadline_ns(u);

    (void)atomic_fetch_add_explicit(&nr_reconnecting, 1, memory_order_relaxed);
    channel_set_state(c, CHANNEL_CONNECTING);
    drop_lanes(c);
    while (l->state == CHANNEL_CONNECTING && clock_now_ns() < l->next_try_ns &&
           !unacked_is_over(u)) {
        (void)cv_wait_until(&c->changed, &c->lock, /* looked at above */
                            end_ns < l->next_try_ns ? end_ns : l->next_try_ns);
    }
    if (l->state == CHANNEL_CONNECTING) {
        (void)try_connect(c, end_ns, NULL); /* the caller looks at the state */
    }
    (void)atomic_fetch_sub_explicit(&nr_reconnecting, 1, memory_order_relaxed);
}
