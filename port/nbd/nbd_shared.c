/* SPDX-License-Identifier: BSD-3-Clause */
/* Leader and followers. A request is a struct wait on the stack of its thread, linked
 * in while it has no answer. At most one thread is the driver: the only one that polls
 * the socket, outside the lock. It feeds the events to the connection under the lock,
 * which calls on_done() from inside, which wakes the thread concerned. When the driver
 * has its own answer it appoints the oldest waiting thread, the likeliest to be
 * answered next.
 *
 * A thread leaves when the connection does not know its request and its buffer any
 * more: with the answer, or when a connection that was lost has been dropped. Nobody
 * may be polling then, so the driver drops it, or the thread that finds that none is
 * polling. Whether dropping calls on_done() for those without an answer is up to the
 * version of libnbd; here both are right.
 */
#include "nbd_shared.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "lock.h"
#include "may_block.h"

#define MAX_BATCH 32 /* answers that a driver takes for others after its own */

struct wait {
    struct nbd_shared *share;
    struct wait *prev, *next; /* of those without an answer */
    struct wait *next_to_wake;
    /* Written under the lock. A follower is woken once, by either, and may then read
     * them without the lock: they do not change any more, but for is_done of a driver.
     */
    bool is_driver; /* polls, or has been appointed to */
    bool is_done;
    uint64_t deadline_ns; /* then the connection is given up; used by its thread */
    int rc;               /* once done */
    sem_t woken; /* not a cv: a thread that is woken with its answer needs no lock */
};

struct nbd_shared {
    struct nbd_conn *conn; /* used under the lock, but for its info */
    int wake_fd;           /* eventfd that takes the driver out of poll */
    struct lk lock;        /* leaf but for libnbd's own lock */
    struct shared_locked {
        bool is_lost;                 /* it is not used again, only dropped */
        struct wait *oldest, *newest; /* without an answer */
        struct wait *to_wake;         /* as soon as the lock is released */
        struct wait *driver;          /* only one; NULL when nothing waits */
        short polled; /* the events that the driver polls for now; 0: it does not */
    } locked_;        /* reach it only through shared_locked() */
};

static struct shared_locked *
shared_locked(struct nbd_shared *s) LK_REQUIRES(s->lock)
{
    return &s->locked_;
}

static void
kick(const struct nbd_shared *s)
{
    const uint64_t one = 1;
    ssize_t n = write(s->wake_fd, &one, sizeof one);

    assert(n == sizeof one || errno == EAGAIN); /* full to the brim wakes as well */
}

static void
link_wait(struct nbd_shared *s, struct wait *w) LK_REQUIRES(s->lock)
{
    struct shared_locked *l = shared_locked(s);

    w->prev = l->newest;
    w->next = NULL;
    *(l->newest != NULL ? &l->newest->next : &l->oldest) = w;
    l->newest = w;
}

/* A thread that is woken wants the lock for its next request: that is released first.
 */
static void
release_and_wake(struct nbd_shared *s) LK_ATTR(release_capability(s->lock))
{
    struct wait *w = shared_locked(s)->to_wake, *next;

    shared_locked(s)->to_wake = NULL;
    lk_release(&s->lock);
    for (; w != NULL; w = next) {
        next = w->next_to_wake;
        sem_post(&w->woken); /* w may be gone from here on */
    }
}

static void
wake_later(struct nbd_shared *s, struct wait *w) LK_REQUIRES(s->lock)
{
    w->next_to_wake = shared_locked(s)->to_wake;
    shared_locked(s)->to_wake = w;
}

static void
finish(struct nbd_shared *s, struct wait *w, int rc) LK_REQUIRES(s->lock)
{
    struct shared_locked *l = shared_locked(s);

    assert(!w->is_done);
    *(w->prev != NULL ? &w->prev->next : &l->oldest) = w->next;
    *(w->next != NULL ? &w->next->prev : &l->newest) = w->prev;
    w->rc = rc;
    w->is_done = true;
    if (!w->is_driver) {
        wake_later(s, w);
    } else if (l->polled != 0) {
        kick(s); /* the driver was answered behind its back */
    }
}

/* End all that wait. Not while the socket is polled; then the driver comes here. */
static void
lose(struct nbd_shared *s) LK_REQUIRES(s->lock)
{
    struct shared_locked *l = shared_locked(s);

    l->is_lost = true;
    if (l->polled != 0) {
        kick(s);
        return;
    }
    nbd_conn_drop(s->conn);
    while (l->oldest != NULL) { /* on_done() was not called */
        finish(s, l->oldest, -ENOTCONN);
    }
}

/* Runs inside nbd_conn_issue(), _feed() and _drop(), so under the lock. */
static void
on_done(struct nbd_call *call, int rc) LK_UNCHECKED
{
    struct wait *w = call->opaque;

    if (rc == -ENOTCONN) {
        shared_locked(w->share)->is_lost = true;
    }
    finish(w->share, w, rc);
}

/* Have rq sent, or queued in the connection. Afterwards w is linked, or done. */
static void
send_request(struct nbd_shared *s, struct wait *w, const struct req *rq,
             struct nbd_call *call) LK_REQUIRES(s->lock)
{
    struct shared_locked *l = shared_locked(s);
    int rc;

    link_wait(s, w);
    rc = l->is_lost ? -ENOTCONN : nbd_conn_issue(s->conn, rq, call);
    if (rc == -ENOTCONN || l->is_lost) {
        lose(s);
    } else if (rc < 0) {
        finish(s, w, rc);
    } else if (l->polled != 0 && (nbd_conn_events(s->conn) & ~l->polled) != 0) {
        kick(s); /* the socket is full: the driver has to wait for room as well */
    }
}

/* Wait for the socket, without the lock, until deadline_ns. Returns its events. */
static short
poll_socket(struct nbd_shared *s, uint64_t deadline_ns) LK_REQUIRES(s->lock)
{
    struct shared_locked *l = shared_locked(s);
    struct pollfd fds[3] = {
        {.fd = nbd_conn_fd(s->conn), .events = nbd_conn_events(s->conn)},
        {.fd = s->wake_fd, .events = POLLIN},
        {.fd = may_block_fd(), .events = POLLIN}};
    uint64_t count;
    int n;

    if (nbd_conn_has_input(s->conn)) {
        return POLLIN;
    }
    l->polled = fds[0].events;
    release_and_wake(s);
    n = poll(fds, 3, clock_poll_ms(deadline_ns)); /* nbd_shared_shutdown() ends it */
    assert(n >= 0 || errno == EINTR);
    if (fds[2].revents != 0) {
        may_block();
    }
    if (n > 0 && fds[1].revents != 0) {
        (void)!read(s->wake_fd, &count, sizeof count); /* only empties it */
    }
    lk_acquire(&s->lock);
    l->polled = 0;
    if (l->is_lost) {
        lose(s);
    }
    return (short)(n > 0 ? fds[0].revents : 0);
}

static void
feed(struct nbd_shared *s, short events) LK_REQUIRES(s->lock)
{
    if (nbd_conn_feed(s->conn, events) < 0 || shared_locked(s)->is_lost) {
        lose(s);
    }
}

static bool
has_input(struct nbd_shared *s) LK_REQUIRES(s->lock)
{
    struct pollfd fd = {.fd = nbd_conn_fd(s->conn), .events = POLLIN};

    return nbd_conn_has_input(s->conn) || poll(&fd, 1, 0) > 0; /* 0: does not wait */
}

/* Take the answers that are there already, for others too: every answer that is left
 * costs the appointment of a driver. When libnbd is told that there is one and finds
 * none it no longer sends, not even the rest of a request. */
static void
take_answers(struct nbd_shared *s) LK_REQUIRES(s->lock)
{
    struct shared_locked *l = shared_locked(s);

    for (unsigned i = 0; i < MAX_BATCH && l->oldest != NULL && has_input(s); i++) {
        feed(s, POLLIN);
    }
}

/* Drive the socket until w is done, then appoint the oldest that waits. */
static void
drive(struct nbd_shared *s, struct wait *w) LK_REQUIRES(s->lock)
{
    struct shared_locked *l = shared_locked(s);

    while (!w->is_done) {
        short events = poll_socket(s, w->deadline_ns);

        if (!l->is_lost && events != 0) {
            feed(s, events);
            take_answers(s);
        }
        if (!w->is_done && w->deadline_ns != CLOCK_NEVER &&
            clock_now_ns() >= w->deadline_ns) {
            lose(s);
        }
    }
    l->driver = l->oldest;
    if (l->oldest != NULL) {
        l->oldest->is_driver = true;
        wake_later(s, l->oldest);
    }
}

/* 0, or -ETIMEDOUT. */
static int
await_wake(struct wait *w)
{
    const struct timespec until = clock_to_timespec(w->deadline_ns);
    int rc;

    do {
        rc = w->deadline_ns == CLOCK_NEVER
                 ? sem_wait(&w->woken)
                 : sem_clockwait(&w->woken, CLOCK_MONOTONIC, &until);
    } while (rc != 0 && errno == EINTR);
    assert(rc == 0 || errno == ETIMEDOUT);
    return rc == 0 ? 0 : -ETIMEDOUT;
}

/* Follow until w is done or appointed; then drive. */
static void
follow(struct nbd_shared *s, struct wait *w)
{
    const bool is_limited = w->deadline_ns != CLOCK_NEVER;

    may_block();
    while (await_wake(w) == -ETIMEDOUT) {
        lk_acquire(&s->lock);
        if (!w->is_done) { /* else it was woken meanwhile */
            lose(s);
        }
        w->deadline_ns = CLOCK_NEVER;
        release_and_wake(s);
    }
    if (is_limited) { /* the thread sanitizer of gcc 12 does not know sem_clockwait() */
        lk_acquire(&s->lock);
        lk_release(&s->lock);
    }
    if (w->is_driver) { /* perhaps done meanwhile; then it only appoints the next */
        lk_acquire(&s->lock);
        assert(shared_locked(s)->driver == w);
        drive(s, w);
        release_and_wake(s);
    }
}

int
nbd_shared_exchange(struct nbd_shared *s, const struct req *rq, struct nbd_call *call)
{
    struct wait w = {.share = s,
                     .deadline_ns =
                         rq->deadline_ns != 0 ? rq->deadline_ns : CLOCK_NEVER};
    bool is_follower;

    call->done = on_done;
    call->opaque = &w;
    sem_init(&w.woken, 0, 0);
    lk_acquire(&s->lock);
    send_request(s, &w, rq, call);
    is_follower = shared_locked(s)->driver != NULL || w.is_done;
    if (!is_follower) {
        shared_locked(s)->driver = &w;
        w.is_driver = true;
        drive(s, &w);
    }
    release_and_wake(s);
    if (is_follower) {
        follow(s, &w);
    }
    sem_destroy(&w.woken);
    return w.rc;
}

int
nbd_shared_open(const struct nbd_conn_opts *o, struct err *e,
                struct nbd_shared **ret_shared)
{
    struct nbd_shared *s = calloc(1, sizeof *s);
    int rc;

    if (s == NULL) {
        return err_set(e, -ENOMEM, "%s: out of memory", o->address);
    }
    lk_init(&s->lock);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = s->wake_fd < 0 ? err_set(e, -errno, "%s: no eventfd", o->address)
                        : nbd_conn_open(o, e, &s->conn);
    if (rc < 0) {
        nbd_shared_close(s);
        return rc;
    }
    *ret_shared = s;
    return 0;
}

const struct port_info *
nbd_shared_info(const struct nbd_shared *s)
{
    return nbd_conn_info(s->conn);
}

const char *
nbd_shared_description(const struct nbd_shared *s)
{
    return nbd_conn_description(s->conn);
}

void
nbd_shared_shutdown(struct nbd_shared *s)
{
    lk_acquire(&s->lock);
    lose(s);
    release_and_wake(s);
}

bool
nbd_shared_is_alive(struct nbd_shared *s)
{
    LK_GUARD(&s->lock);
    struct pollfd fd = {.fd = -1, .events = POLLRDHUP};

    if (!shared_locked(s)->is_lost) {
        fd.fd = nbd_conn_fd(s->conn);
    }
    return fd.fd >= 0 && poll(&fd, 1, 0) == 0; /* 0: does not wait */
}

void
nbd_shared_close(struct nbd_shared *s)
{
    if (s != NULL) {
        nbd_conn_close(s->conn);
        if (s->wake_fd >= 0) {
            (void)close(s->wake_fd); /* nothing was stored in it */
        }
        lk_done(&s->lock);
        free(s);
    }
}
