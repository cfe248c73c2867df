/* SPDX-License-Identifier: BSD-3-Clause */
/* flusher.h - a flush that somebody waits for only until a deadline. A flush cannot be
 * taken back: when the waiter gives up, it goes on by itself, and the next one waits
 * for it first. One per disk, for the life of the disk. */
#ifndef BATON_FLUSHER_H
#define BATON_FLUSHER_H

#include <stdbool.h>

#include "lock.h"
#include "port.h"
#include "urgency.h"

struct flusher {
    struct lk lock;  /* leaf; not held during the flush */
    struct cv ended; /* is_running became false */
    bool is_running;
    int rc; /* of the flush that ended last */
    struct port *port;
    enum urgency urgency;
};

void flusher_init(struct flusher *f);
void flusher_done(struct flusher *f); /* waits for a flush that is running */

/* Begin to flush port, which stays open until it has ended. -ETIMEDOUT: an earlier one
 * was still running at deadline_ns. -EAGAIN: no thread. */
int flusher_start(struct flusher *f, struct port *port, enum urgency urgency,
                  uint64_t deadline_ns);

/* The result of the flush, or -ETIMEDOUT. */
int flusher_wait(struct flusher *f, uint64_t deadline_ns);

#endif
