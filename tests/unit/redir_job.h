/* SPDX-License-Identifier: BSD-3-Clause */
/* redir_job.h - for the redirector's tests: requests on threads of their own. */
#ifndef BATON_REDIR_JOB_H
#define BATON_REDIR_JOB_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "redir_rig.h"

/* One request on its own thread. Blocks are numbered; a write fills with `fill`. */
struct job {
    struct port *port;
    struct req rq;
    pthread_t thread;
    struct lk lock; /* leaf; guards is_done */
    struct cv done;
    bool is_done;
    int rc; /* valid after job_wait() */
    char buf[4 * RIG_BLOCK];
};

static inline void *
job_main(void *arg)
{
    struct job *j = (struct job *)arg;

    j->rc = port_submit(j->port, &j->rq);
    LK_GUARD(&j->lock);
    j->is_done = true;
    cv_signal(&j->done);
    return NULL;
}

static inline struct job *
job_start_from(struct redir *r, const void *origin, enum req_op op, unsigned block,
               unsigned nr_blocks, char fill)
{
    struct job *j = (struct job *)calloc(1, sizeof *j);

    ck_assert_ptr_nonnull(j);
    ck_assert_uint_le(nr_blocks, 4);
    memset(j->buf, fill, sizeof j->buf);
    lk_init(&j->lock);
    cv_init(&j->done);
    j->port = redir_port(r);
    j->rq = (struct req){.op = op,
                         .off = (uint64_t)block * RIG_BLOCK,
                         .len = nr_blocks * RIG_BLOCK,
                         .buf = j->buf,
                         .origin = origin};
    ck_assert_int_eq(pthread_create(&j->thread, NULL, job_main, j), 0);
    return j;
}

static inline struct job *
job_write(struct redir *r, unsigned block, char fill)
{
    return job_start_from(r, NULL, REQ_WRITE, block, 1, fill);
}

static inline struct job *
job_read(struct redir *r, unsigned block)
{
    return job_start_from(r, NULL, REQ_READ, block, 1, '?');
}

/* Wait for its end; j->rc and j->buf may be read then. A join with a deadline would do,
 * but the thread sanitizer does not know pthread_clockjoin_np(). */
static inline void
job_wait(struct job *j)
{
    uint64_t deadline_ns = soon();
    int rc = 0;

    lk_acquire(&j->lock);
    while (rc == 0 && !j->is_done) {
        rc = cv_wait_until(&j->done, &j->lock, deadline_ns);
    }
    ck_assert_msg(j->is_done, "a request never ended");
    lk_release(&j->lock);
    ck_assert_int_eq(pthread_join(j->thread, NULL), 0);
}

static inline void
job_free(struct job *j)
{
    cv_done(&j->done);
    lk_done(&j->lock);
    free(j);
}

/* Wait for its end, free it, and return what the request returned. */
static inline int
job_end(struct job *j)
{
    int rc;

    job_wait(j);
    rc = j->rc;
    job_free(j);
    return rc;
}

/* The first byte of a block, read through the redirector. */
static inline char
rig_byte(struct redir *r, unsigned block)
{
    struct job *j = job_read(r, block);
    char c;

    job_wait(j);
    ck_assert_int_eq(j->rc, 0);
    c = j->buf[0];
    job_free(j);
    return c;
}

#endif
