/* SPDX-License-Identifier: BSD-3-Clause */
#include "ledger.h"

#include "thread_number.h"

struct ledger_stripe *
ledger_stripe(struct ledger *l)
{
    return &l->stripes[thread_number() % LEDGER_STRIPES];
}

struct redir_ledger
ledger_sum(struct ledger *l)
{
    struct redir_ledger sum = {0};

    for (unsigned i = 0; i < LEDGER_STRIPES; i++) {
        struct ledger_stripe *s = &l->stripes[i];

        sum.local += atomic_load(&s->ended[LEDGER_LOCAL]);
        sum.remote += atomic_load(&s->ended[LEDGER_REMOTE]);
        sum.failed += atomic_load(&s->ended[LEDGER_FAILED]);
        sum.bounced += atomic_load(&s->ended[LEDGER_BOUNCED]);
        sum.accepted += atomic_load(&s->accepted);
    }
    sum.accepted -= sum.bounced; /* sent back: in the end they were not accepted */
    sum.pending = sum.accepted - sum.local - sum.remote - sum.failed;
    return sum;
}

uint64_t
ledger_unfinished(struct ledger *l)
{
    uint64_t unfinished = 0;

    for (unsigned i = 0; i < LEDGER_STRIPES; i++) {
        struct ledger_stripe *s = &l->stripes[i];

        unfinished += atomic_load(&s->accepted);
        for (unsigned o = 0; o < LEDGER_NR_OUTCOMES; o++) {
            unfinished -= atomic_load(&s->ended[o]);
        }
    }
    return unfinished;
}
