/* SPDX-License-Identifier: BSD-3-Clause */
/* redir_state.h - private to redirector/ (redir_*): the struct that the way of a
 * request (redirector.c) and the way of a handoff (redir_control.c) share. */
#ifndef BATON_REDIR_STATE_H
#define BATON_REDIR_STATE_H

#include <stdatomic.h>

#include "hold_queue.h"
#include "ledger.h"
#include "lock.h"
#include "redirector.h"

struct redir {
    struct port port;     /* our face; first */
    struct ledger ledger; /* see ledger.h for the ordering */

    /* True: requests go straight to `active`. seq_cst, as part of the protocol above;
     * changed under the lock only. */
    _Atomic bool is_gate_open;

    /* Written under the lock while the gate is closed and nothing is in flight; read
     * without it by requests that passed the gate, which orders the two. */
    struct port *active;
    enum redir_side side;

    char id[96];
    uint64_t fail_after_ns;

    struct lk lock;    /* leaf: take no other lock, call no port while holding it */
    struct cv changed; /* a drain is complete or was cancelled, or the state changed */
    struct redir_locked {
        enum redir_state state;
        struct hold_queue queue;
        bool is_drain_cancelled;
        uint64_t pause_end_ns;         /* of HOLDING; CLOCK_NEVER: it is no pause */
        uint64_t performed_at_quiesce; /* local + remote when it became QUIESCED */
        uint64_t max_held_ns;
        uint64_t held; /* since the last hold */
    } locked_;         /* reach it only through redir_locked() */
};

static inline struct redir_locked *redir_locked(struct redir *r) LK_REQUIRES(r->lock);

static inline struct redir_locked *
redir_locked(struct redir *r)
{
    return &r->locked_;
}

/* A request has ended or was queued while the gate was closed: it may have been the
 * last that a drain waits for. */
void redir_tell_drain(struct redir *r) LK_REQUIRES(r->lock);

/* Let what is queued go when the time of a pause is over. Each thread that waits in
 * the queue looks, and so does one that asks for the state. */
void redir_end_pause_if_due(struct redir *r) LK_REQUIRES(r->lock);

/* What was held has ended: late requests may go, and new ones pass the gate. */
void redir_open_if_replayed(struct redir *r) LK_REQUIRES(r->lock);

#endif
