/* SPDX-License-Identifier: BSD-3-Clause */
/* redirector.h - itself a port (redir_*); sends a disk's requests to the active port,
 * and can stop doing so without refusing any of them, exchange the port, and go on.
 *
 * Fast path: two atomic operations on a striped counter, no lock. While the gate is
 * closed requests wait in the hold queue, on the threads that brought them.
 *
 *   OPEN -hold-> HOLDING -drain-> QUIESCED -release-> REPLAYING -> OPEN
 *                   |                 | swap (stays QUIESCED)
 *                   '----release------'
 *   REPLAYING -hold-> HOLDING
 *   OPEN -pause-> HOLDING, and by itself -> REPLAYING after a while; hold ends that
 *
 * Functions may be called on any thread; hold, drain, swap and release are called by
 * one handoff at a time (asserted by state). Nothing here logs.
 */
#ifndef BATON_REDIRECTOR_H
#define BATON_REDIRECTOR_H

#include "port.h"

enum redir_state { REDIR_OPEN, REDIR_HOLDING, REDIR_QUIESCED, REDIR_REPLAYING };
#define REDIR_NR_STATES 4

enum redir_side { REDIR_LOCAL, REDIR_REMOTE }; /* port A, port B */

/* accepted = local + remote + failed + pending, always. */
struct redir_ledger {
    uint64_t accepted; /* requests that entered and were not bounced */
    uint64_t local;    /* performed by port A */
    uint64_t remote;   /* performed by port B */
    uint64_t failed;   /* ended with an error of the device or of fail-after */
    uint64_t bounced;  /* channel requests sent back to their client unperformed: it
                        * has them in its own ledger */
    uint64_t pending;  /* in flight or queued */
};

struct redir_status {
    enum redir_state state;
    enum redir_side side;
    uint64_t queued;       /* requests in the hold queue */
    uint64_t queued_bytes; /* of reads and writes among them */
    uint64_t oldest_ns;    /* age of the oldest of them; 0 when none */
    uint64_t in_flight;    /* requests at the active port */
    uint64_t under_way_ns; /* age of the oldest that has no answer, wherever it is */
    uint64_t max_held_ns;  /* longest that a request was held since the last hold */
    uint64_t held;         /* requests that entered the queue since the last hold */
    uint64_t replayed;     /* of these, sent to a port after release */
    struct redir_ledger ledger;
};

struct redir;

/* id names it in traces. Starts QUIESCED without a port; info is what its clients are
 * promised for its whole life; durable changes and zeroes are in it if there are
 * flushes and writes. fail_after_ns: a request that has waited for longer than this
 * gets -EIO, whether it is held or port B has no answer to it (see port_channel.h);
 * what port A is at work on is waited for. CLOCK_NEVER: never, the default policy.
 * -ENOMEM. */
int redir_new(const char *id, const struct port_info *info, uint64_t fail_after_ns,
              struct redir **ret_r);

/* The face that the stack sees. Lives as long as r; its close does nothing. */
struct port *redir_port(struct redir *r);

/* Close the gate: from now on requests queue. OPEN or REPLAYING -> HOLDING, or a pause
 * becomes a hold; -EBUSY in any other state. Does not wait. */
int redir_hold(struct redir *r);

/* Close the gate as redir_hold(), but until until_ns at most: then what is queued goes
 * on to the same port, as after redir_release(), unless there was a hold meanwhile. So
 * who paused it may vanish. -EBUSY unless OPEN. Does not wait. */
int redir_pause(struct redir *r, uint64_t until_ns);

/* Wait until a pause leaves nothing in flight at the active port. -ETIMEDOUT, also when
 * the pause has ended; it goes on otherwise. */
int redir_await_pause(struct redir *r, uint64_t deadline_ns);

/* End a pause before its time; does nothing when there is none. */
void redir_end_pause(struct redir *r);

/* Wait until the active port has nothing in flight: HOLDING -> QUIESCED. -ETIMEDOUT:
 * the state stays HOLDING. -ECANCELED: redir_cancel_drain() was called. -EBUSY: not
 * HOLDING, or only paused. */
int redir_drain(struct redir *r, uint64_t deadline_ns);

/* Make the drain that waits, or else the next one of this hold, return -ECANCELED. The
 * one after it works again: a port that was recalled can only be drained. */
void redir_cancel_drain(struct redir *r);

/* Put next behind r and hand back the port it replaces (NULL when there was none).
 * -EBUSY unless QUIESCED, -EINVAL unless next can replace r's info (e says why). On
 * success r owns next and the caller owns *ret_old; on failure nothing changed hands.
 * next == NULL takes the port out. */
int redir_swap(struct redir *r, struct port *next, enum redir_side side, struct err *e,
               struct port **ret_old);

/* Open the gate: queued requests go to the active port, overlapping ones in arrival
 * order; new ones follow. HOLDING or QUIESCED -> REPLAYING -> OPEN by itself when what
 * was held has ended. -EBUSY in another state, -ENODEV without a port. Does not wait.
 */
int redir_release(struct redir *r);

/* Wait until OPEN. 0 or -ETIMEDOUT. */
int redir_wait_open(struct redir *r, uint64_t deadline_ns);

/* Send queued channel requests back with -ESTALE: those of one origin, or of every
 * origin but NULL when origin is REDIR_ALL_CHANNELS. */
extern const char redir_all_channels[];
#define REDIR_ALL_CHANNELS ((const void *)redir_all_channels)
void redir_bounce(struct redir *r, const void *origin);

/* The port that is active, NULL when none. It stays r's; valid until the next swap. */
struct port *redir_active(struct redir *r);

void redir_status(struct redir *r, struct redir_status *ret_status);

/* 0, or -EPROTO when the ledger of a QUIESCED redirector does not add up: what is
 * queued must be pending (so may be more, on its way into the queue), and no port may
 * have performed anything since it became QUIESCED. That is a bug, and stops a handoff
 * before its commit. -EPROTO in any other state. */
int redir_check_ledger(struct redir *r, struct err *e);

/* Free r and close its port. No request is in r. NULL is accepted. */
void redir_free(struct redir *r);

const char *redir_state_name(enum redir_state s);

#endif
