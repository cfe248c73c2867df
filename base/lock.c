/* SPDX-License-Identifier: BSD-3-Clause */
#include "lock.h"

#include <errno.h>
#include <time.h>

#include "clock.h"
#include "may_block.h"

/* A failing pthread call on a private, initialised object is our own bug: assert. */

void
lk_init(struct lk *l)
{
    int rc = pthread_mutex_init(&l->m, NULL);

    assert(rc == 0);
}

void
lk_done(struct lk *l)
{
    int rc = pthread_mutex_destroy(&l->m);

    assert(rc == 0);
}

void
lk_acquire(struct lk *l) LK_UNCHECKED
{
    int rc = pthread_mutex_lock(&l->m);

    assert(rc == 0);
}

void
lk_release(struct lk *l) LK_UNCHECKED
{
    int rc = pthread_mutex_unlock(&l->m);

    assert(rc == 0);
}

void
cv_init(struct cv *c)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    assert(rc == 0);
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    assert(rc == 0);
    rc = pthread_cond_init(&c->c, &attr);
    assert(rc == 0);
    rc = pthread_condattr_destroy(&attr);
    assert(rc == 0);
}

void
cv_done(struct cv *c)
{
    int rc = pthread_cond_destroy(&c->c);

    assert(rc == 0);
}

void
cv_signal(struct cv *c)
{
    int rc = pthread_cond_signal(&c->c);

    assert(rc == 0);
}

void
cv_broadcast(struct cv *c)
{
    int rc = pthread_cond_broadcast(&c->c);

    assert(rc == 0);
}

int
cv_wait_until(struct cv *c, struct lk *l, uint64_t deadline_ns)
{
    struct timespec ts;
    int rc;

    may_block();
    if (deadline_ns == CLOCK_NEVER) {
        rc = pthread_cond_wait(&c->c, &l->m);
        assert(rc == 0);
        return 0;
    }
    ts = clock_to_timespec(deadline_ns);
    rc = pthread_cond_timedwait(&c->c, &l->m, &ts);
    assert(rc == 0 || rc == ETIMEDOUT);
    return -rc;
}
