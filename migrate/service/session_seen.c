/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "session_parts.h"
#include "trace.h"

void
session_trace(const struct session *s, const char *event)
{
    if (trace_on) {
        trace_write("event=session-%s disk=%s client=%s session=%" PRIu64
                    " epoch=%" PRIu64 " in_flight=%" PRIu64 " lanes=%u fenced=%d",
                    event, s->table->id, s->client, s->number, s->epoch, s->in_flight,
                    s->nr_lanes, s->is_fenced);
    }
}

/* Which epoch is served, and every session there is. */
void
session_table_trace(struct session_table *t, const char *event)
{
    const struct session_table_locked *l = table_locked(t);
    const struct session *s;

    if (!trace_on) {
        return;
    }
    trace_write("event=sessions-%s disk=%s served=%" PRIu64 " given=%" PRIu64
                " expected=%" PRIu64,
                event, t->id, l->served, l->given, l->expected);
    TAILQ_FOREACH(s, &l->sessions, link)
    {
        session_trace(s, "known");
    }
}

int
session_table_list(struct session_table *t, struct session_facts **ret_all,
                   unsigned *ret_nr)
{
    const struct session *s;
    struct session_facts *all;
    unsigned nr = 0;
    LK_GUARD(&t->lock);

    TAILQ_FOREACH(s, &table_locked(t)->sessions, link)
    {
        nr++;
    }
    all = calloc((size_t)nr + 1, sizeof *all);
    if (all == NULL) {
        return -ENOMEM;
    }
    *ret_all = all;
    *ret_nr = nr;
    TAILQ_FOREACH(s, &table_locked(t)->sessions, link)
    {
        all->number = s->number;
        all->epoch = s->epoch;
        all->in_flight = s->in_flight;
        all->nr_lanes = s->nr_lanes;
        all->is_fenced = s->is_fenced;
        memcpy(all->client, s->client, sizeof all->client);
        all++;
    }
    return 0;
}
