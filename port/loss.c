/* SPDX-License-Identifier: BSD-3-Clause */
#include "loss.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "port.h"

static struct loss_locked *loss_locked(struct loss *l) LK_REQUIRES(l->lock);
static struct loss_locked *
loss_locked(struct loss *l)
{
    return &l->locked_;
}

void
loss_init(struct loss *l)
{
    memset(l, 0, sizeof *l);
    lk_init(&l->lock);
}

void
loss_done(struct loss *l)
{
    lk_done(&l->lock);
}

void
loss_note(struct loss *l, int rc)
{
    LK_GUARD(&l->lock);

    assert(rc < 0);
    loss_locked(l)->rc = rc;
    loss_locked(l)->newest = req_newest_requester();
    (void)atomic_fetch_add_explicit(&l->nr, 1, memory_order_relaxed);
}

/* Was requester told of loss nr, or a later one? If not it is now. */
static bool
was_told(struct loss *l, uint64_t requester, uint64_t nr) LK_REQUIRES(l->lock)
{
    struct loss_locked *k = loss_locked(l);
    unsigned i;

    for (i = 0; i < LOSS_MAX_TOLD; i++) {
        if (k->told[i].nr != 0 && k->told[i].requester == requester) {
            break;
        }
    }
    if (i < LOSS_MAX_TOLD && k->told[i].nr >= nr) {
        return true;
    }
    if (requester > k->newest && k->nr_most_told >= nr) {
        return true; /* it was not there */
    }
    if (i == LOSS_MAX_TOLD) {
        i = k->next;
        k->next = (k->next + 1) % LOSS_MAX_TOLD;
    }
    k->told[i].requester = requester;
    k->told[i].nr = nr;
    k->nr_most_told = nr;
    return false;
}

int
loss_tell(struct loss *l, uint64_t requester)
{
    uint64_t nr = atomic_load_explicit(&l->nr, memory_order_relaxed);
    bool is_known;

    if (nr == 0) {
        return 0;
    }
    LK_GUARD(&l->lock);

    nr = atomic_load_explicit(&l->nr, memory_order_relaxed);
    is_known = requester == REQ_OF_OURS ? loss_locked(l)->nr_most_told >= nr
                                        : was_told(l, requester, nr);
    return is_known ? 0 : loss_locked(l)->rc;
}
