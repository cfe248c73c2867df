/* SPDX-License-Identifier: BSD-3-Clause */
/* What a handoff says when it has ended; the fields are those of "handoff --json". */
#include "job_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "disk_latency.h"

static json_t *
phases(const struct job *j)
{
    json_t *o = json_object();
    char key[32];
    uint64_t ns[HANDOFF_NR_PHASES], peer_drain_ns;

    memcpy(ns, j->phase_ns, sizeof ns);
    /* What the next owner waited for in HOLD were requests at our device. */
    peer_drain_ns = clock_earlier(j->peer_drain_ns, ns[HANDOFF_HOLD]);
    ns[HANDOFF_HOLD] -= peer_drain_ns;
    ns[HANDOFF_DRAIN] += peer_drain_ns;
    for (unsigned p = HANDOFF_PREPARE; p <= HANDOFF_REPLAY; p++) {
        (void)snprintf(key, sizeof key, "%s_us", handoff_phase_name(p));
        (void)json_object_set_new(o, key,
                                  json_integer((json_int_t)(ns[p] / NS_PER_US)));
    }
    return o;
}

static json_t *
forecast(const struct job *j)
{
    const struct job_forecast *f = &j->forecast;

    return json_pack("{s:I,s:I,s:I,s:I}", "drain_us",
                     (json_int_t)(f->drain_ns / NS_PER_US), "flush_us",
                     (json_int_t)(f->flush_ns / NS_PER_US), "record_us",
                     (json_int_t)(f->record_ns / NS_PER_US), "trip_us",
                     (json_int_t)(f->trip_ns / NS_PER_US));
}

static json_t *
one_disk(const struct job *j, unsigned i, json_int_t *queued, json_int_t *replayed)
{
    struct disk *d = j->disks[i];
    struct record rec = disk_record(d);
    struct redir_status st;

    redir_status(d->redir, &st);
    *queued += (json_int_t)st.held;
    *replayed += (json_int_t)st.replayed;
    return json_pack(
        "{s:s,s:s,s:I,s:I,s:I,s:I,s:{s:I,s:I,s:I,s:I,s:I,s:I},s:o}", "disk",
        d->cfg->name, "uuid", rec.uuid, "epoch", (json_int_t)rec.epoch, "queued",
        (json_int_t)st.held, "replayed", (json_int_t)st.replayed, "max_held_us",
        (json_int_t)(st.max_held_ns / NS_PER_US), "ledger", "accepted",
        (json_int_t)st.ledger.accepted, "local", (json_int_t)st.ledger.local, "remote",
        (json_int_t)st.ledger.remote, "failed", (json_int_t)st.ledger.failed, "bounced",
        (json_int_t)st.ledger.bounced, "pending", (json_int_t)st.ledger.pending,
        "latency", disk_latency_json(d));
}

json_t *
job_report(struct job *j, const char *outcome)
{
    uint64_t stall_ns = j->held_at_ns != 0 && j->opened_at_ns != 0
                            ? j->opened_at_ns - j->held_at_ns
                            : 0;
    json_int_t queued = 0, replayed = 0;
    json_t *disks = json_array(), *report;

    for (unsigned i = 0; i < j->nr; i++) {
        (void)json_array_append_new(disks, one_disk(j, i, &queued, &replayed));
    }
    report =
        json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:o,s:o,s:b,s:I,s:I}", "target", j->target,
                  "from", j->service->cfg->name, "to", j->next[0].peer_name, "outcome",
                  outcome, "stall_us", (json_int_t)(stall_ns / NS_PER_US),
                  "predicted_us", (json_int_t)(j->predicted_ns / NS_PER_US), "forecast",
                  forecast(j), "phases", phases(j), "shares_cache", j->shares_cache,
                  "queued", queued, "replayed", replayed);
    if (j->nr_there > 0) {
        json_t *there = json_array();

        for (unsigned i = 0; i < j->nr_there; i++) {
            (void)json_array_append_new(there, json_string(j->there[i]->cfg->name));
        }
        (void)json_object_set_new(report, "there", there);
    }
    if (j->nr == 1) { /* one disk: its fields stand beside the common ones */
        (void)json_object_update(report, json_array_get(disks, 0));
    }
    (void)json_object_set_new(report, "disks", disks);
    return report;
}
