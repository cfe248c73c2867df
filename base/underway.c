/* SPDX-License-Identifier: BSD-3-Clause */
#include "underway.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "lock.h"

/* Of one thread, which alone writes it; relaxed: for people. */
struct note {
    _Alignas(64) _Atomic uint64_t begun_ns; /* 0: there is no request */
    _Atomic(const void *) place;
    LIST_ENTRY(note) link;
};

static struct lk lock; /* leaf: guards the list, not what is noted */
static LIST_HEAD(, note) notes = LIST_HEAD_INITIALIZER(notes);
static _Thread_local struct note *mine;
static pthread_key_t at_end; /* of a thread */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
forget(void *arg)
{
    struct note *n = arg;
    LK_GUARD(&lock);

    LIST_REMOVE(n, link);
    free(n);
}

static void
begin(void)
{
    lk_init(&lock);
    if (pthread_key_create(&at_end, forget) != 0) {
        abort(); /* at the first request; the process has no use without keys */
    }
}

/* Without memory nothing is noted of this thread. */
static struct note *
need_note(void)
{
    struct note *n;

    (void)pthread_once(&once, begin); /* cannot fail */
    n = aligned_alloc(_Alignof(struct note), sizeof *n);
    if (n == NULL || pthread_setspecific(at_end, n) != 0) {
        free(n);
        return NULL;
    }
    atomic_init(&n->begun_ns, 0);
    atomic_init(&n->place, NULL);
    LK_GUARD(&lock);

    LIST_INSERT_HEAD(&notes, n, link);
    mine = n;
    return n;
}

void
underway_begin(uint64_t now_ns)
{
    struct note *n = mine != NULL ? mine : need_note();

    if (n != NULL) {
        atomic_store_explicit(&n->place, NULL, memory_order_relaxed);
        atomic_store_explicit(&n->begun_ns, now_ns, memory_order_relaxed);
    }
}

void
underway_at(const void *place)
{
    if (mine != NULL) {
        atomic_store_explicit(&mine->place, place, memory_order_relaxed);
    }
}

void
underway_end(void)
{
    if (mine != NULL) {
        atomic_store_explicit(&mine->begun_ns, 0, memory_order_relaxed);
    }
}

uint64_t
underway_oldest_ns(const void *place)
{
    uint64_t oldest_ns = 0;
    const struct note *n;

    (void)pthread_once(&once, begin); /* cannot fail */
    LK_GUARD(&lock);

    LIST_FOREACH(n, &notes, link)
    {
        uint64_t ns = atomic_load_explicit(&n->begun_ns, memory_order_relaxed);

        if (atomic_load_explicit(&n->place, memory_order_relaxed) == place && ns != 0 &&
            (oldest_ns == 0 || ns < oldest_ns)) {
            oldest_ns = ns;
        }
    }
    return oldest_ns;
}
