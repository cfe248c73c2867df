/* SPDX-License-Identifier: BSD-3-Clause */
#include "status.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "disk.h"
#include "disk_durability.h"
#include "disk_failed.h"
#include "disk_latency.h"
#include "handoff.h"
#include "owner_follow.h"

/* A request that is older than this waits, even if nothing says for what. */
#define STUCK_NS NS_PER_S

static json_t *
ledger_json(const struct redir_ledger *l)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "accepted", (json_int_t)l->accepted,
                     "local", (json_int_t)l->local, "remote", (json_int_t)l->remote,
                     "failed", (json_int_t)l->failed, "bounced", (json_int_t)l->bounced,
                     "pending", (json_int_t)l->pending);
}

static json_t *
kept_json(const _Atomic uint64_t *n)
{
    return json_integer((json_int_t)atomic_load_explicit(n, memory_order_relaxed));
}

static json_t *
sessions_json(struct disk *d)
{
    json_t *list = json_array();
    struct session_facts *all AUTO_FREE = NULL;
    unsigned nr = 0;

    if (disk_redir(d) == NULL || session_table_list(d->sessions, &all, &nr) < 0) {
        return list; /* nobody can be connected, or there is no memory for more */
    }
    for (unsigned i = 0; i < nr; i++) {
        (void)json_array_append_new(
            list,
            json_pack("{s:s,s:I,s:I,s:I,s:I,s:b}", "client", all[i].client, "session",
                      (json_int_t)all[i].number, "epoch", (json_int_t)all[i].epoch,
                      "lanes", (json_int_t)all[i].nr_lanes, "in_flight",
                      (json_int_t)all[i].in_flight, "fenced", all[i].is_fenced));
    }
    return list;
}

/* What requests wait for that passed an open gate: "" when they do not. A device that
 * is slow for a moment is no news. */
static const char *
waits_for(struct disk *d, const struct record *rec, const struct redir_status *st)
{
    const bool is_client = st->side == REDIR_REMOTE && rec->role == ROLE_GIVEN;
    const bool is_lost =
        is_client && !atomic_load_explicit(&d->kept.is_up, memory_order_relaxed);

    if (st->in_flight == 0 ||
        (st->state != REDIR_OPEN && st->state != REDIR_REPLAYING) ||
        (!is_lost && st->under_way_ns < STUCK_NS)) {
        return "";
    }
    return is_client ? "owner" : "device";
}

/* What is wrong with the device, or new about it. */
static void
add_device(struct disk *d, const struct record *rec, json_t *j)
{
    const uint64_t size = atomic_load_explicit(&d->device_size, memory_order_relaxed);
    struct err trouble = {{0}};
    char lost[SEARCH_TEXT], reason[SEARCH_TEXT + 80];

    if (rec->role == ROLE_OWNER && size > rec->info.size) {
        (void)json_object_set_new(j, "device_size", json_integer((json_int_t)size));
    }
    disk_device_lost(d, lost);
    if (lost[0] != '\0') { /* the gate is open, and nothing behind it */
        (void)snprintf(reason, sizeof reason, "disk %s: %s", d->cfg->name, lost);
        (void)json_object_set_new(j, "state", json_string("device-lost"));
        (void)json_object_set_new(j, "reason", json_string(reason));
    }
    if (disk_failed_is(d, &trouble)) {
        (void)json_object_set_new(j, "state", json_string("failed"));
        (void)json_object_set_new(j, "reason", json_string(trouble.msg));
    }
}

/* What is not always there. */
static void
add_news(struct service *s, struct disk *d, const struct record *rec,
         const struct redir_status *st, json_t *j)
{
    struct handoff_now now;
    const char *waits;
    char search[SEARCH_TEXT];

    if (rec->info.size != 0) { /* else it is not known yet */
        (void)json_object_set_new(j, "can_trim",
                                  json_boolean(rec->info.caps & PORT_CAN_TRIM));
    }
    waits = waits_for(d, rec, st);
    if (waits[0] != '\0') {
        (void)json_object_set_new(j, "waits_for", json_string(waits));
    }
    if (waits[0] != '\0' && st->state == REDIR_OPEN) {
        (void)json_object_set_new(j, "state", json_string("waiting"));
    }
    owner_follow_search_text(d, search);
    if (search[0] != '\0') {
        (void)json_object_set_new(j, "search", json_string(search));
    }
    if (rec->superseded != 0) { /* the name of a stop, not of a gate */
        (void)json_object_set_new(j, "state", json_string("superseded"));
    }
    add_device(d, rec, j);
    if (rec->forced_epoch != 0) {
        (void)json_object_set_new(j, "forced_epoch",
                                  json_integer((json_int_t)rec->forced_epoch));
        (void)json_object_set_new(j, "taken_at",
                                  json_integer((json_int_t)rec->taken_at));
    }
    if (handoff_now_of(s, d, &now)) {
        (void)json_object_set_new(j, "handoff",
                                  json_string(handoff_phase_name(now.phase)));
        (void)json_object_set_new(j, "handoff_us",
                                  json_integer((json_int_t)now.phase_us));
        (void)json_object_set_new(j, "handoff_detail", json_string(now.detail));
        (void)json_object_set_new(j, "handoff_aborting",
                                  json_boolean(now.is_abort_wanted));
    }
}

/* "open" and so on from the redirector, "closed" for a disk that nobody can open yet.
 */
static json_t *
disk_json(struct service *s, struct disk *d)
{
    struct redir *r = disk_redir(d);
    struct record rec = disk_record(d);
    struct redir_status st = {.state = REDIR_QUIESCED};
    const char *owner = "";
    json_t *j;

    if (rec.role == ROLE_OWNER) {
        owner = s->cfg->name;
    } else if (rec.role == ROLE_GIVEN) {
        owner = rec.peer_name;
    }
    if (r != NULL) {
        redir_status(r, &st);
    }
    j = json_pack(
        "{s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o}",
        "name", d->cfg->name, "uuid", rec.uuid, "vm", d->cfg->vm, "size",
        (json_int_t)rec.info.size, "epoch", (json_int_t)rec.epoch, "role",
        role_name(rec.role), "state", r != NULL ? redir_state_name(st.state) : "closed",
        "owner", owner, "device", d->cfg->device, "queued", (json_int_t)st.queued,
        "queued_bytes", (json_int_t)st.queued_bytes, "oldest_us",
        (json_int_t)((st.under_way_ns > st.oldest_ns ? st.under_way_ns : st.oldest_ns) /
                     NS_PER_US),
        "in_flight", (json_int_t)st.in_flight, "ledger", ledger_json(&st.ledger),
        "latency", disk_latency_json(d), "kept", kept_json(&d->kept.nr), "kept_bytes",
        kept_json(&d->kept.bytes), "sessions", sessions_json(d));
    if (j != NULL) {
        add_news(s, d, &rec, &st, j);
    }
    return j;
}

int
status_report(struct service *s, const char *disk_name, struct err *e,
              json_t **ret_report)
{
    char why[RECORD_UNWRITTEN_LEN];
    json_t *disks, *listen;

    if (disk_name != NULL && service_find_disk(s, disk_name) == NULL) {
        return err_set(e, -ENOENT, "%s has no disk %s", s->cfg->name, disk_name);
    }
    disks = json_array();
    for (unsigned i = 0; i < s->nr_disks; i++) {
        struct disk *d = &s->disks[i];

        if (disk_name == NULL || strcmp(d->cfg->name, disk_name) == 0) {
            (void)json_array_append_new(disks, disk_json(s, d));
        }
    }
    listen = json_array();
    for (unsigned i = 0; i < s->cfg->nr_listen; i++) {
        (void)json_array_append_new(listen, json_string(s->cfg->listen[i].text));
    }
    *ret_report = json_pack("{s:s,s:s,s:o,s:o}", "service", s->cfg->name, "version",
                            BATON_VERSION, "listen", listen, "disks", disks);
    if (record_dir_is_unwritten(s->records, why)) {
        (void)json_object_set_new(*ret_report, "state_dir_error", json_string(why));
    }
    return 0;
}
