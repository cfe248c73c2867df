/* SPDX-License-Identifier: BSD-3-Clause */
/* session_parts.h - private to session.c and session_seen.c, which tells people what
 * there is (session_*). */
#ifndef BATON_SESSION_PARTS_H
#define BATON_SESSION_PARTS_H

#include <sys/queue.h>

#include "lock.h"
#include "session.h"

struct session {
    struct session_table *table;
    char client[64];
    uint64_t number, epoch;
    uint64_t requester; /* of its requests: no other session ever has the same */
    /* Guarded by the table's lock. */
    unsigned nr_lanes;  /* connections that use it */
    uint64_t in_flight; /* requests between enter() and leave() */
    bool is_fenced;
    TAILQ_ENTRY(session) link;
};

struct session_table {
    char id[64];
    struct redir *redir;
    struct lk lock;  /* leaf but for redir_bounce(), which takes the redirector's */
    struct cv ended; /* in_flight of some session became 0 */
    struct session_table_locked {
        TAILQ_HEAD(, session) sessions;
        uint64_t served;   /* epoch; 0: none */
        uint64_t given;    /* the latest that was served before; 0: none */
        uint64_t expected; /* epoch that is admitted, not served; 0: none */
    } locked_;
};

static inline struct session_table_locked *table_locked(struct session_table *t)
    LK_REQUIRES(t->lock);
static inline struct session_table_locked *
table_locked(struct session_table *t)
{
    return &t->locked_;
}

/* Lines of the trace: one session, or which epoch is served and every session. */
void session_trace(const struct session *s, const char *event);
void session_table_trace(struct session_table *t, const char *event)
    LK_REQUIRES(t->lock);

#endif
