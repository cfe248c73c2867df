/* SPDX-License-Identifier: BSD-3-Clause */
/* redir_end.h - for the redirector's stress test: a port over memory that it borrows,
 * which can be recalled, counts what it performs, and notices whoever reaches it while
 * it is out. A check on a worker's thread cannot fail a test: see violation(). */
#ifndef BATON_REDIR_END_H
#define BATON_REDIR_END_H

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "lock.h"
#include "port.h"

/* What went wrong first, NULL when nothing has. seq_cst; orders nothing else. */
static _Atomic(const char *) first_violation;

static inline void
violation(const char *what)
{
    const char *none = NULL;

    (void)atomic_compare_exchange_strong(&first_violation, &none, what);
}

/* LOST: requests wait, as for an owner that is away; OUT: not behind the redirector,
 * nobody may be in it. */
enum end_state { END_OUT, END_SERVING, END_LOST, END_RECALLED };

struct end {
    struct port port;
    struct port *mem;
    struct lk lock; /* leaf */
    struct cv changed;
    struct end_locked {
        enum end_state state;
        unsigned nr_inside;
        uint64_t nr_performed;
    } locked_;
};

static inline struct end_locked *
end_locked(struct end *e) LK_REQUIRES(e->lock)
{
    return &e->locked_;
}

static inline int
end_enter(struct end *e)
{
    struct end_locked *l;

    LK_GUARD(&e->lock);
    l = end_locked(e);
    if (l->state == END_OUT) {
        violation("a request reached a port that is out");
    }
    l->nr_inside++;
    while (l->state == END_LOST) {
        (void)cv_wait_until(&e->changed, &e->lock, CLOCK_NEVER); /* the end wakes it */
    }
    if (l->state == END_RECALLED) {
        l->nr_inside--;
        return -ESTALE;
    }
    return 0;
}

static inline void
end_leave(struct end *e)
{
    struct end_locked *l;

    LK_GUARD(&e->lock);
    l = end_locked(e);
    if (l->state == END_OUT) {
        violation("a request was performed by a port that is out");
    }
    l->nr_inside--;
    l->nr_performed++;
}

static inline int
end_submit(struct port *p, const struct req *rq)
{
    struct end *e = (struct end *)p;
    int rc = end_enter(e);

    if (rc == 0) {
        rc = port_submit(e->mem, rq);
        end_leave(e);
    }
    return rc;
}

static inline void
end_close(struct port *p)
{
    (void)p; /* embedded in the test's world */
}

static const struct port_ops end_ops = {
    .name = "end", .submit = end_submit, .close = end_close};

static inline void
end_set(struct end *e, enum end_state state)
{
    LK_GUARD(&e->lock);
    if (state == END_OUT && end_locked(e)->nr_inside != 0) {
        violation("a port was swapped while requests were in it");
    }
    end_locked(e)->state = state;
    cv_broadcast(&e->changed);
}

static inline uint64_t
end_performed(struct end *e)
{
    LK_GUARD(&e->lock);
    return end_locked(e)->nr_performed;
}

static inline void
end_init(struct end *e, struct port *mem, enum end_state state)
{
    *e = (struct end){.port = {.ops = &end_ops, .info = mem->info},
                      .mem = mem,
                      .locked_ = {.state = state}};
    lk_init(&e->lock);
    cv_init(&e->changed);
}

#endif
