/* SPDX-License-Identifier: BSD-3-Clause */
/* lock.h - mutex (lk_*) and condition variable (cv_*) with clang's thread-safety
 * annotations, and waits that end at a monotonic deadline.
 *
 * clang 14 in C cannot say "guarded by a sibling field", so guarded fields live in a
 * nested struct behind an accessor that is LK_REQUIRES(the lock). gcc sees no
 * annotations. A guard (LK_GUARD) opens a function and holds to its end. */
#ifndef BATON_LOCK_H
#define BATON_LOCK_H

#include <assert.h>
#include <pthread.h>
#include <stdint.h>

#ifdef __clang__
#define LK_ATTR(x) __attribute__((x))
#else
#define LK_ATTR(x)
#endif
#define LK_REQUIRES(l) LK_ATTR(requires_capability(l))
#define LK_EXCLUDES(l) LK_ATTR(locks_excluded(l))
#define LK_UNCHECKED LK_ATTR(no_thread_safety_analysis)

struct LK_ATTR(capability("mutex")) lk {
    pthread_mutex_t m;
};

/* A condition variable on the monotonic clock. */
struct cv {
    pthread_cond_t c;
};

void lk_init(struct lk *l);
void lk_done(struct lk *l);
void lk_acquire(struct lk *l) LK_ATTR(acquire_capability(*l));
void lk_release(struct lk *l) LK_ATTR(release_capability(*l));

void cv_init(struct cv *c);
void cv_done(struct cv *c);
void cv_signal(struct cv *c);
void cv_broadcast(struct cv *c);

/* Wait for c until deadline_ns (CLOCK_NEVER waits for ever). Returns 0 when woken,
 * spuriously or not, -ETIMEDOUT when the deadline has passed. l is held before and
 * after. Callers loop over their condition. */
int cv_wait_until(struct cv *c, struct lk *l, uint64_t deadline_ns) LK_REQUIRES(*l);

/* Scope guard. clang sees a cleanup as a leak unless the guard asserts the lock,
 * which it then treats as held to the end of the function (LLVM D152504). */
static inline struct lk *
lk_guard_begin(struct lk *l) LK_ATTR(assert_capability(*l)) LK_UNCHECKED
{
    lk_acquire(l);
    return l;
}

static inline void
lk_guard_end(struct lk **l) LK_UNCHECKED
{
    lk_release(*l);
}

#define LK_GUARD(l)                                                                    \
    struct lk *lk_guard_ __attribute__((cleanup(lk_guard_end), unused)) =              \
        lk_guard_begin(l)

#endif
