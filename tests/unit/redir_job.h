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
    int rc;
    char buf[4 * RIG_BLOCK];
};

static inline void *
job_main(void *arg)
{
    struct job *j = (struct job *)arg;

    j->rc = port_submit(j->port, &j->rq);
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

/* Wait for its end, free it, and return what the request returned. */
static inline int
job_end(struct job *j)
{
    struct timespec until = clock_to_timespec(soon());
    int rc = pthread_clockjoin_np(j->thread, NULL, CLOCK_MONOTONIC, &until);

    ck_assert_msg(rc == 0, "a request never ended");
    rc = j->rc;
    free(j);
    return rc;
}

/* The first byte of a block, read through the redirector. */
static inline char
rig_byte(struct redir *r, unsigned block)
{
    struct job *j = job_read(r, block);
    struct timespec until = clock_to_timespec(soon());
    char c;

    ck_assert_int_eq(pthread_clockjoin_np(j->thread, NULL, CLOCK_MONOTONIC, &until), 0);
    ck_assert_int_eq(j->rc, 0);
    c = j->buf[0];
    free(j);
    return c;
}

#endif
