/* SPDX-License-Identifier: BSD-3-Clause */
/* loss.h - private to port/: a server said that it may have lost what it had
 * acknowledged. It says so once, in answer perhaps to a flush of our own, or to one
 * VM's durable write, when another VM's data is gone. So everybody hears it: the next
 * flush of each requester (req.requester) that was there fails with it, once; then it
 * is theirs to know, as with an open file of the kernel. A requester that came later
 * hears it if nobody has yet. Flushes of our own fail until somebody was told: nobody
 * could be told any more if the disk was given away.
 *
 * Functions may be called on any thread; they do not block. */
#ifndef BATON_LOSS_H
#define BATON_LOSS_H

#include <stdatomic.h>
#include <stdint.h>

#include "lock.h"

#define LOSS_MAX_TOLD 64 /* a requester that does not fit is told once more */

struct loss {
    /* Losses so far. Written under the lock; relaxed: a flush that began before a loss
     * was noted may succeed, one that begins after it was told to anybody sees it. */
    _Atomic uint64_t nr;
    struct lk lock; /* leaf */
    struct loss_locked {
        int rc;                /* of the latest */
        uint64_t newest;       /* requester when it was noted */
        uint64_t nr_most_told; /* the latest that anybody was told */
        unsigned next;         /* place in `told` to be used next */
        struct {
            uint64_t requester, nr; /* nr 0: a free place */
        } told[LOSS_MAX_TOLD];
    } locked_; /* reach it only through loss_locked() */
};

void loss_init(struct loss *l);
void loss_done(struct loss *l);

/* rc < 0 was said, and told to nobody yet whose data may be gone. */
void loss_note(struct loss *l, int rc);

/* A flush of requester is about to begin: 0, or what it has to fail with. */
int loss_tell(struct loss *l, uint64_t requester);

#endif
