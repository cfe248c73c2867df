/* SPDX-License-Identifier: BSD-3-Clause */
#include "flusher.h"

#include <errno.h>

#include "clock.h"

void
flusher_init(struct flusher *f)
{
    *f = (struct flusher){0};
    lk_init(&f->lock);
    cv_init(&f->ended);
}

static int
wait_idle(struct flusher *f, uint64_t deadline_ns) LK_REQUIRES(f->lock)
{
    while (f->is_running) {
        if (cv_wait_until(&f->ended, &f->lock, deadline_ns) == -ETIMEDOUT &&
            f->is_running) {
            return -ETIMEDOUT;
        }
    }
    return 0;
}

void
flusher_done(struct flusher *f)
{
    (void)flusher_wait(f, CLOCK_NEVER); /* only that it ended counts */
    cv_done(&f->ended);
    lk_done(&f->lock);
}

static void *
flush(void *arg)
{
    const struct req rq = {.op = REQ_FLUSH, .requester = REQ_OF_OURS};
    struct flusher *f = arg;
    int rc;

    (void)urgency_set(f->urgency);
    rc = port_submit(f->port, &rq);
    LK_GUARD(&f->lock);

    f->rc = rc;
    f->is_running = false;
    cv_broadcast(&f->ended);
    return NULL;
}

int
flusher_start(struct flusher *f, struct port *port, enum urgency urgency,
              uint64_t deadline_ns)
{
    pthread_attr_t attr;
    pthread_t thread;
    int rc;
    LK_GUARD(&f->lock);

    rc = wait_idle(f, deadline_ns);
    if (rc < 0) {
        return rc;
    }
    rc = -pthread_attr_init(&attr);
    if (rc == 0) {
        (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        f->port = port;
        f->urgency = urgency;
        f->is_running = true;
        rc = -pthread_create(&thread, &attr, flush, f);
        f->is_running = rc == 0;
        (void)pthread_attr_destroy(&attr);
    }
    return rc;
}

int
flusher_wait(struct flusher *f, uint64_t deadline_ns)
{
    int rc;
    LK_GUARD(&f->lock);

    rc = wait_idle(f, deadline_ns);
    return rc < 0 ? rc : f->rc;
}
