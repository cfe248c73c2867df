/* SPDX-License-Identifier: BSD-3-Clause */
/* channel.h - the inside of a channel, which has one link after the other (what that is
 * says port_channel.h). Private to port/channel.
 *
 *   IDLE -> CONNECTING ---------> UP -> BROKEN -> CONNECTING
 *     ^----'    '-> RESENDING ---' ^       ^        UP -> IDLE: it rests
 *                        '---------|-------'           any -> RECALLED (final)
 *
 * The thread that needs a link and finds none connects one; the others wait for it. A
 * link breaks as a whole, at the first request that a lane leaves unanswered: its lanes
 * are shut down, so that every thread leaves them at once, and only when the last has
 * left are they closed and the next link is connected. So no request of an older link
 * is sent after one of a newer link; the owner fences what it still has of the older
 * ones. */
#ifndef BATON_CHANNEL_H
#define BATON_CHANNEL_H

#include "channel_lanes.h"
#include "lock.h"
#include "loss.h"
#include "port_channel.h"
#include "unacked.h"
#include "unflushed.h"
#include "unflushed_plan.h"

enum channel_state {
    CHANNEL_IDLE,       /* no lanes */
    CHANNEL_CONNECTING, /* one thread is about to replace the lanes */
    CHANNEL_RESENDING,  /* it sends again what the owner before has lost */
    CHANNEL_UP,         /* requests may be sent */
    CHANNEL_BROKEN,     /* the lanes are shut down, and wait for their users to leave */
    CHANNEL_RECALLED,
};
#define CHANNEL_NR_STATES 6

struct channel {
    struct port port;
    struct channel_route route;
    enum channel_durability durability;
    char here[CHANNEL_INSTANCE_MAX];       /* an owner of this instance dies with us */
    struct channel_unflushed_count *count; /* NULL: nobody wants to know */
    bool (*has_vm)(void *opaque, uint64_t vm); /* NULL: all are there */
    void *has_vm_opaque;
    struct loss loss;  /* an owner tells it to the flush that it gets first, perhaps
                        * one of our own; its lock is within ours */
    struct lk lock;    /* before the locks of the lanes; not held while connecting */
    struct cv changed; /* the state, or users has become 0, or next_try_ns, or a
                        * doubtful request has its answer, or is_flushing */
    struct channel_locked {
        enum channel_state state;
        struct channel_lanes *lanes; /* RESENDING, UP, BROKEN: not NULL */
        unsigned users;              /* threads that use them */
        struct unacked_table unacked;
        struct unflushed_table unflushed;
        bool is_growing;      /* a thread opens one more lane for this link */
        bool is_grown;        /* no more lanes join this link */
        bool is_flushing;     /* a thread has taken it on itself to empty `unflushed` */
        bool has_inherited;   /* until a flush; see port_channel_inherit() */
        int unflushed_rc;     /* of sending again what was acknowledged; for good */
        bool has_answered;    /* this link */
        uint64_t since_ns;    /* this link */
        uint64_t farewell_ns; /* BROKEN, CONNECTING: until then its answers are taken */
        uint64_t nr_links;    /* that came up */
        uint64_t nr_rests;    /* of these, ended by port_channel_rest() */
        uint64_t backoff_ns;  /* the latest; 0 after a success */
        uint64_t next_try_ns;
    } locked_; /* reach it only through channel_locked() */
};

static inline struct channel_locked *channel_locked(struct channel *c)
    LK_REQUIRES(c->lock);
static inline struct channel_locked *
channel_locked(struct channel *c)
{
    return &c->locked_;
}

/* Trace and set it; an assertion that the step is allowed. Wakes all who wait. */
void channel_set_state(struct channel *c, enum channel_state next) LK_REQUIRES(c->lock);

/* The link ends: -ENOTCONN at once, -ESHUTDOWN after the answers that are on their
 * way. UP or RESENDING -> BROKEN. */
void channel_break(struct channel *c, int rc) LK_REQUIRES(c->lock);

/* Wait until nobody uses the lanes; from deadline_ns on they are shut down, so that
 * nobody stays. */
void channel_await_users(struct channel *c, uint64_t deadline_ns) LK_REQUIRES(c->lock);

/* IDLE or BROKEN: connect a link once, by deadline_ns, and send again what was kept for
 * it. 0: UP; else IDLE, BROKEN or RECALLED and e says why. */
int channel_connect(struct channel *c, uint64_t deadline_ns, struct err *e)
    LK_REQUIRES(c->lock);

/* The same on behalf of u, which does not care why there is no owner yet; not before
 * the back-off is over, and not beyond u's time. */
void channel_reconnect(struct channel *c, const struct unacked *u) LK_REQUIRES(c->lock);

/* Is the VM there whose piece this is? Else it is not sent again. */
bool channel_is_owed(const struct channel *c, const struct unflushed_piece *piece)
    LK_REQUIRES(c->lock);

/* Perform a piece at `to` once more, RESENDING or RECALLED; the lock is released
 * meanwhile. A device may recover, so an error is believed the eighth time, after 1.3
 * s; once one was (unflushed_rc), at once. -ENOTCONN also when the state has changed.
 */
int channel_send_again(struct channel *c, struct port *to,
                       const struct unflushed_piece *piece, uint64_t deadline_ns)
    LK_REQUIRES(c->lock);

/* Do more requests wait than the lanes carry well? Then it is the caller's to call
 * channel_grow(), which opens one more lane. Without the lock; takes as long as a
 * connection does. */
bool channel_has_to_grow(struct channel *c) LK_REQUIRES(c->lock);
void channel_grow(struct channel *c);

/* Tell c->count. */
void channel_count_unflushed(struct channel *c) LK_REQUIRES(c->lock);

#endif
