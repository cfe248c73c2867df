/* SPDX-License-Identifier: BSD-3-Clause */
/* nbd_rig.h - an NBD server and a port that is its client, and requests to it from one
 * thread or from several. */
#ifndef BATON_NBD_RIG_H
#define BATON_NBD_RIG_H

#include <pthread.h>
#include <stdint.h>

#include <check.h>

#include "nbdkit_server.h"
#include "port.h"

#define MIB (UINT64_C(1) << 20)
#define NR_THREADS 8
#define BLOCK 4096U

static struct nbdkit_server server;
static struct port *port;

static inline void
close_all(void)
{
    port_close(port);
    port = NULL;
    nbdkit_server_done(&server);
}

static inline int
do_io(enum req_op op, void *buf, uint64_t off, uint32_t len)
{
    const struct req rq = {.op = op, .buf = buf, .off = off, .len = len};

    return port_submit(port, &rq);
}

static inline void
start_threads(pthread_t *threads, void *(*work)(void *))
{
    for (uintptr_t i = 0; i < NR_THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    }
}

/* How many threads returned something else than NULL. */
static inline int
join_threads(const pthread_t *threads)
{
    int nr_failed = 0;

    for (unsigned i = 0; i < NR_THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        nr_failed += result != NULL;
    }
    return nr_failed;
}

#endif
