/* SPDX-License-Identifier: BSD-3-Clause */
/* PREPARE: everything that is slow or can be refused, while I/O flows. */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "breakpoint.h"
#include "clock.h"
#include "disk_durability.h"
#include "job_call.h"
#include "job_turn.h"
#include "lease_take.h"
#include "port_channel.h"
#include "stall_forecast.h"
#include "step.h"
#include "step_parked.h"
#include "step_there.h"

#define CONNECT_TIMEOUT_NS (5 * NS_PER_S)
/* A block that is written and zeroed again fools one of them. */
#define COMPARE_TRIES 8
#define PREPARE_TIMEOUT_NS (30 * NS_PER_S)
/* For an abort, while an earlier replay lasts. */
#define LOOK_AGAIN_NS (200 * NS_PER_MS)

static json_t *
prepare_params(struct job *j)
{
    json_t *list = job_disk_list(j);

    for (unsigned i = 0; i < j->nr; i++) {
        json_t *item = json_array_get(list, i);

        (void)json_object_set_new(item, "vm", json_string(j->next[i].vm));
        (void)json_object_set_new(item, "leases", lease_list_for(j->disks[i], &j->to));
    }
    return json_pack("{s:s,s:s,s:o}", "from", j->service->cfg->name, "from_control",
                     config_control_for(j->service->cfg, &j->to), "disks", list);
}

/* Take from the answer who the next owner is and where its channels listen. */
static int
learn_peer(struct job *j, json_t *answer, struct err *e)
{
    const char *name, *uri;
    json_t *channels, *disks;
    size_t i, n;

    if (json_unpack(answer, "{s:s,s:o,s:o}", "service", &name, "channels", &channels,
                    "disks", &disks) != 0 ||
        !name_is_valid(name) || json_array_size(disks) != j->nr) {
        return err_set(e, -EPROTO, "%s gives a malformed answer", j->to.text);
    }
    j->wants_pause = json_is_true(json_object_get(answer, "pause"));
    j->forecast.peer_drain_ns = job_call_us(answer, "drain_us");
    j->forecast.peer_in_flight =
        (uint64_t)json_integer_value(json_object_get(answer, "in_flight"));
    n = json_array_size(channels);
    if (n == 0) {
        return err_set(e, -EINVAL, "%s has no listener that we could reach", name);
    }
    for (unsigned d = 0; d < j->nr; d++) {
        struct record *rec = &j->next[d];

        (void)snprintf(rec->peer_name, sizeof rec->peer_name, "%s", name);
        (void)snprintf(rec->peer_control, sizeof rec->peer_control, "%s", j->to.text);
        rec->nr_channels = 0;
        for (i = 0; i < n && rec->nr_channels < RECORD_MAX_URIS; i++) {
            uri = json_string_value(json_array_get(channels, i));
            if (uri != NULL && strlen(uri) < RECORD_URI_LEN) {
                (void)snprintf(rec->channels[rec->nr_channels++], RECORD_URI_LEN, "%s",
                               uri);
            }
        }
        if (rec->nr_channels == 0) {
            return err_set(e, -EPROTO, "%s names no address of a channel", name);
        }
    }
    return 0;
}

/* What we leave dirty and the device then loses is told once. Who goes past the cache
 * did not make it dirty and has nothing else to write back: it is better found here. */
static bool
writes_back_for_us(const struct disk *d, const struct identity *theirs)
{
    return d->cfg->cache == FILE_CACHE_NONE ||
           (theirs->info.caps & PORT_CAN_CACHE) != 0;
}

/* A flush in the stall would only write what the next owner, who has the same page
 * cache, can write later: a flush covers what is dirty, whoever made it so. The same
 * instance says that clients do not take our going for a flush either. */
static bool
can_flush_for_us(struct disk *d, const struct identity *mine,
                 const struct identity *theirs, const json_t *item)
{
    const char *instance = json_string_value(json_object_get(item, "instance"));
    char ours[CHANNEL_INSTANCE_MAX];

    disk_instance(d, ours);
    return instance != NULL && strcmp(instance, ours) == 0 &&
           identity_shares_cache(mine, theirs) && writes_back_for_us(d, theirs);
}

static int
check(void *job, struct err *e)
{
    return job_check(job, e);
}

static int
look_at_ours(struct job *j, struct disk *d, const struct port_info *info, struct err *e,
             struct identity *ret_id)
{
    job_detail(j, "%s: reading samples of %s", d->cfg->name, d->cfg->device);
    return identity_take_while(redir_active(d->redir), info, check, j, e, ret_id);
}

static int
compare_one(struct job *j, unsigned i, const struct identity *before,
            const json_t *item, struct err *e, struct identity *ret_theirs)
{
    struct identity after;
    int rc = identity_from_json(item, e, ret_theirs);

    if (rc < 0) {
        return rc;
    }
    if (job_is_of_parked(j)) {
        return step_parked_compare(j, i, ret_theirs, e);
    }
    rc = look_at_ours(j, j->disks[i], &before->info, e, &after);
    return rc < 0 ? rc : identity_compare(before, &after, ret_theirs, e);
}

static int
compare_devices(struct job *j, const struct identity *before, json_t *answer,
                struct err *e)
{
    j->shares_cache = !job_is_of_parked(j);
    for (unsigned i = 0; i < j->nr; i++) {
        const json_t *item = json_array_get(json_object_get(answer, "disks"), i);
        struct disk *d = j->disks[i];
        struct identity theirs;
        int rc = compare_one(j, i, &before[i], item, e, &theirs);

        if (rc < 0) {
            return err_prefix(e, rc, "%s: the device of %s", d->cfg->name,
                              j->next[i].peer_name);
        }
        j->shares_cache =
            j->shares_cache && can_flush_for_us(d, &before[i], &theirs, item);
        memcpy(j->devices[i], theirs.device_id, sizeof j->devices[i]);
        j->is_same_device[i] = theirs.device_id[0] != '\0' &&
                               strcmp(before[i].device_id, theirs.device_id) == 0;
    }
    for (unsigned i = 0; i < j->nr && j->shares_cache; i++) {
        j->next[i].flushed_by[0] = '\0'; /* it is told so when it is to own the disk */
    }
    return 0;
}

static int
connect_channel(struct job *j, unsigned i, struct err *e)
{
    struct disk *d = j->disks[i];
    int rc = disk_new_channel(d, &j->next[i], e, &j->channels[i]);

    if (rc < 0) {
        return rc;
    }
    rc = job_check(j, e);
    if (rc < 0) {
        return rc;
    }
    job_detail(j, "%s: connecting a channel to %s", d->cfg->name, j->next[i].peer_name);
    rc = port_channel_connect(j->channels[i], clock_deadline_ns(CONNECT_TIMEOUT_NS), e);
    if (rc < 0) {
        return rc;
    }
    if (atomic_load_explicit(&d->nr_vms, memory_order_relaxed) == 0) {
        port_channel_rest(j->channels[i]); /* it works; nobody would use it */
    }
    return 0;
}

static int
connect_channels(struct job *j, struct err *e)
{
    for (unsigned i = 0; i < j->nr; i++) {
        int rc = connect_channel(j, i, e);

        if (rc < 0) {
            return err_prefix(e, rc, "%s: channel to %s", j->disks[i]->cfg->name,
                              j->next[i].peer_name);
        }
    }
    return 0;
}

/* Our devices, before the next owner looks at its own. */
static int
look_at_all(struct job *j, struct err *e, struct identity *ret_ids)
{
    for (unsigned i = 0; i < j->nr; i++) {
        struct disk *d = j->disks[i];
        int rc = 0;

        ret_ids[i] = j->next[i].parked;
        if (!job_is_of_parked(j)) {
            rc = look_at_ours(j, d, &j->next[i].info, e, &ret_ids[i]);
        }
        if (rc < 0) {
            return err_prefix(e, rc, "%s", d->cfg->name);
        }
        /* The next owner has to keep what clients were promised, not what this device
         * can do beyond that: else a disk may go where it cannot come back from. */
        ret_ids[i].info = redir_port(d->redir)->info;
    }
    return 0;
}

/* Have the next owner open its devices. */
static int
ask_peer(struct job *j, struct err *e, json_t **ret_answer)
{
    struct job_question q = {.method = "peer.prepare",
                             .timeout_ns = PREPARE_TIMEOUT_NS};
    int rc, code = 0;

    (void)BREAKPOINT("owner-asking");
    job_detail(j, "%s opens its device and reads samples of it", j->to.text);
    q.params = prepare_params(j);
    rc = job_call(j, &q, e, &code, ret_answer);
    return rc < 0 ? rc : BREAKPOINT("owner-answered");
}

/* Are they the same devices? -EILSEQ: perhaps. */
static int
compare_with_peer(struct job *j, struct err *e)
{
    struct identity before[GROUP_MAX_DISKS];
    json_t *answer = NULL;
    int rc = look_at_all(j, e, before);

    if (rc < 0) {
        return rc;
    }
    rc = ask_peer(j, e, &answer);
    if (rc == 0) {
        rc = learn_peer(j, answer, e);
    }
    if (rc == 0) {
        rc = compare_devices(j, before, answer, e);
    }
    json_decref(answer);
    return rc;
}

static int
await_open(struct job *j, struct disk *d, struct err *e)
{
    const uint64_t deadline_ns = clock_deadline_ns(CONNECT_TIMEOUT_NS);
    int rc;

    while (redir_wait_open(
               d->redir, clock_earlier(deadline_ns, clock_deadline_ns(LOOK_AGAIN_NS))) <
           0) {
        if (clock_now_ns() >= deadline_ns) {
            return err_set(e, -EBUSY, "%s: an earlier replay is going on",
                           d->cfg->name);
        }
        job_detail(j, "%s: an earlier replay is going on", d->cfg->name);
        rc = job_check(j, e);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* Records that nobody else can change meanwhile: the disks are claimed. */
static int
make_next_records(struct job *j, struct err *e)
{
    const bool is_park = j->kind == JOB_PARK;
    /* Any number that this service has not used before will do. */
    uint64_t number =
        atomic_fetch_add_explicit(&j->service->next_number, 1, memory_order_relaxed);

    for (unsigned i = 0; i < j->nr; i++) {
        struct disk *d = j->disks[i];
        int rc = job_is_of_parked(j) ? 0 : await_open(j, d, e);

        if (rc < 0) {
            return rc;
        }
        j->next[i] = disk_next_record(d, is_park ? ROLE_PARKED : ROLE_GIVEN,
                                      disk_record(d).epoch + 1);
        j->next[i].handoff = is_park ? 0 : number;
        if (!is_park) {
            disk_instance(d, j->next[i].flushed_by); /* if it comes to a flush */
        }
    }
    return job_is_of_parked(j) ? step_parked_recall(j, e) : 0;
}

static int
meet_peer(struct job *j, struct err *e)
{
    unsigned tries = 0;
    int rc;

    do {
        rc = compare_with_peer(j, e);
    } while (rc == -EILSEQ && ++tries < COMPARE_TRIES);
    return rc < 0 ? rc : connect_channels(j, e);
}

static int
get_ready(struct job *j, struct err *e)
{
    int rc = step_there_look(j, e);

    if (rc < 0) {
        return rc;
    }
    rc = make_next_records(j, e);
    if (rc < 0) {
        return rc;
    }
    /* So that the commit does not have to spread what an earlier group left. */
    rc = record_settle(j->service->records, e);
    if (rc < 0) {
        return err_prefix(e, rc, "cannot write an earlier group's records");
    }
    if (!job_is_of_parked(j)) {
        forecast_begin(j);
    }
    if (j->kind != JOB_PARK) {
        rc = meet_peer(j, e);
    }
    if (rc == 0 && !job_is_of_parked(j)) {
        rc = forecast_write_back(j, e);
    }
    if (rc < 0) {
        return rc;
    }
    rc = job_draft(j, e); /* a park's is written anew, when it is drained */
    if (rc < 0 || j->kind != JOB_PARK) {
        return rc;
    }
    return step_parked_can_unpark(j, e);
}

int
step_prepare(struct job *j, struct err *e)
{
    int rc;

    (void)BREAKPOINT("owner-preparing");
    rc = get_ready(j, e);
    if (rc < 0) {
        return rc;
    }
    rc = BREAKPOINT("owner-prepared");
    if (rc < 0) {
        return rc;
    }
    job_turn_take(j);
    if (job_is_of_parked(j)) {
        return 0; /* what waits has waited since it was parked */
    }
    if (!j->shares_cache) { /* again, for what was written while it waited */
        rc = forecast_write_back(j, e);
    }
    return rc < 0 || j->kind == JOB_PARK ? rc : forecast_check(j, e);
}
