/* SPDX-License-Identifier: BSD-3-Clause */
/* All workers of a connection wait for one mutex, nbdkit's read lock; the one that has
 * it reads a request, unlocks, and performs the request. So each request wakes another
 * thread, which at best finds that there is nothing to read yet. When the request takes
 * less time than that wake-up (data in the page cache), it is better performed by the
 * worker that has read it, with nobody woken.
 *
 * Idea: the worker that has read such a request does not really unlock. It keeps the
 * turn
 *   until it locks the same mutex again, for its next request: nobody was woken; or
 *   until it may block (the plugin and our send say so), ends, or closes the
 *   connection: then it unlocks, and all is as without us. A worker that waits in
 *   poll(2) may keep it and look out for the client's next request meanwhile; a client
 * that has one request at a time has nobody woken then either. A VM that has one
 * request at a time, which is performed here, is served better by two workers in turn
 * (baton_guard_ends_here()): one that stays where it is has its client on another
 * processor, and each request wakes one that has halted, 75 us and more under a
 * hypervisor. A worker that only waits for the next request is woken by the client,
 * beside itself.
 *
 * So what the mutex protects stays protected, by the same lock, a little longer, and a
 * request that blocks holds up nobody.
 *
 * nbdkit's read lock has no name that we could see. It is the one lock that a worker
 * holds when a request has been read. An nbdkit that reads with none or with several
 * locks is left alone; so is one whose worker comes to wait for a request without
 * having locked again what it kept (turn_check_before_wait).
 *
 * Between the lock and the plugin are nbdkit's filters, which know nothing of turns and
 * may wait for anything, for another request of the connection too. "baton serve" says
 * when there are some (BATON_GUARD_NO_TURNS), and no turn is kept.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "guard_env.h"
#include "guard_turn.h"

#define MAX_HELD 8 /* deeper ones are not looked at */

static _Thread_local struct turn {
    pthread_mutex_t *held[MAX_HELD];
    unsigned nr_held;         /* may be above MAX_HELD */
    pthread_mutex_t *to_keep; /* when it is unlocked */
    pthread_mutex_t *kept;    /* locked, although its user has unlocked it */
    int fd;                   /* whose requests the turn is to read */
} turn __attribute__((tls_model("initial-exec")));

static int (*real_lock)(pthread_mutex_t *);
static int (*real_trylock)(pthread_mutex_t *);
static int (*real_unlock)(pthread_mutex_t *);
static _Atomic bool is_off; /* relaxed: any later time will do */
static pthread_key_t at_thread_end;

static void
let_go_at_thread_end(void *unused)
{
    (void)unused;
    baton_guard_may_block();
}

static void *
next_symbol(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);

    if (p == NULL) {
        abort(); /* no libc: nothing would work */
    }
    return p;
}

/* Constructors of other libraries may lock before ours has run; they are one thread. */
static void
find_real(void)
{
    *(void **)&real_unlock = next_symbol("pthread_mutex_unlock");
    *(void **)&real_trylock = next_symbol("pthread_mutex_trylock");
    *(void **)&real_lock = next_symbol("pthread_mutex_lock");
}

__attribute__((constructor)) static void
turn_init(void)
{
    find_real();
    atomic_init(&is_off, guard_env_take());
    if (pthread_key_create(&at_thread_end, let_go_at_thread_end) != 0) {
        abort(); /* at the start of the process there are keys */
    }
}

static void
note_locked(pthread_mutex_t *m)
{
    if (turn.nr_held < MAX_HELD) {
        turn.held[turn.nr_held] = m;
    }
    turn.nr_held++;
}

static void
note_unlocked(const pthread_mutex_t *m)
{
    unsigned i = turn.nr_held < MAX_HELD ? turn.nr_held : MAX_HELD;

    if (turn.nr_held == 0) {
        return; /* locked by trylock, which we do not see */
    }
    while (i > 0 && turn.held[i - 1] != m) {
        i--;
    }
    if (i == 0 && turn.nr_held <= MAX_HELD) {
        return;
    }
    for (; i > 0 && i < turn.nr_held && i < MAX_HELD; i++) {
        turn.held[i - 1] = turn.held[i];
    }
    turn.nr_held--;
}

void
turn_keep(int fd)
{
    if (turn.nr_held == 1 && turn.kept == NULL &&
        !atomic_load_explicit(&is_off, memory_order_relaxed)) {
        turn.to_keep = turn.held[0];
        turn.fd = fd;
    }
}

bool
turn_is_kept(void)
{
    return turn.kept != NULL;
}

int
turn_fd(void)
{
    return turn.fd;
}

bool
turn_holds_a_lock(void)
{
    return turn.nr_held > 0;
}

void
turn_check_before_wait(void)
{
    if (turn.kept != NULL) {
        atomic_store_explicit(&is_off, true, memory_order_relaxed);
        baton_guard_may_block();
    }
}

void
baton_guard_may_block(void)
{
    pthread_mutex_t *m = turn.kept;

    turn.to_keep = NULL;
    if (m != NULL) {
        turn.kept = NULL;
        (void)real_unlock(m); /* we hold it: cannot fail */
    }
}

int
pthread_mutex_lock(pthread_mutex_t *m)
{
    int rc;

    if (real_lock == NULL) {
        find_real();
    }
    if (turn.kept == m) {
        turn.kept = NULL;
        note_locked(m);
        return 0;
    }
    if (turn.kept == NULL) {
        rc = real_lock(m);
    } else {
        rc = real_trylock(m);
        if (rc != 0) { /* its holder may be waiting for us */
            baton_guard_may_block();
            rc = real_lock(m);
        }
    }
    if (rc == 0) {
        note_locked(m);
    }
    return rc;
}

int
pthread_mutex_unlock(pthread_mutex_t *m)
{
    if (real_unlock == NULL) {
        find_real();
    }
    note_unlocked(m);
    if (m == turn.to_keep) {
        turn.to_keep = NULL;
        turn.kept = m;
        /* Without a destructor for the thread's end the turn must not be kept. */
        if (pthread_getspecific(at_thread_end) != NULL ||
            pthread_setspecific(at_thread_end, m) == 0) {
            return 0;
        }
        turn.kept = NULL;
    }
    return real_unlock(m);
}
