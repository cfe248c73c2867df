/* SPDX-License-Identifier: BSD-3-Clause */
#include "load.h"

#include "clock.h"

void
load_look(struct disk *const *disks, unsigned nr, struct load *ret_p)
{
    *ret_p = (struct load){.at_ns = clock_now_ns()};
    for (unsigned i = 0; i < nr; i++) {
        struct redir *r = disk_redir(disks[i]);
        struct redir_status st;

        if (r != NULL) {
            redir_status(r, &st);
            ret_p->ended += st.ledger.accepted - st.ledger.pending;
            ret_p->in_flight += st.in_flight;
        }
    }
}

bool
load_has_requests(const struct load *before, const struct load *now)
{
    return now->in_flight > 0 || now->ended != before->ended;
}

uint64_t
load_drain_ns(const struct load *before, const struct load *now)
{
    const uint64_t nr_ended = now->ended - before->ended;
    const uint64_t passed_ns = now->at_ns - before->at_ns;

    if (nr_ended > 0) {
        return now->in_flight * passed_ns / nr_ended;
    }
    return before->in_flight > 0 && now->in_flight > 0 ? passed_ns : 0;
}
