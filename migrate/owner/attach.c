/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attach_look.h"
#include "clock.h"
#include "disk.h"
#include "disk_ownership.h"
#include "log.h"
#include "owner_find.h"
#include "owner_follow.h"
#include "port_channel.h"
#include "service.h"

#define DEFAULT_DEADLINE_MS 10000
#define MAX_DEADLINE_MS (600 * 1000)
#define COMPARE_TRIES                                                                  \
    8 /* a block that is written and zeroed again fools one of them                    \
       */

static int
refuse_role(struct service *s, const struct record *rec, const char *name,
            struct err *e)
{
    if (rec->role == ROLE_OWNER) {
        return err_set(e, -EEXIST, "%s: %s owns it itself, at epoch %" PRIu64, name,
                       s->cfg->name, rec->epoch);
    }
    if (rec->role == ROLE_PARKED) {
        return err_set(e, -EPERM,
                       "%s is parked here, at epoch %" PRIu64 ": unpark it first", name,
                       rec->epoch);
    }
    if (rec->superseded != 0) {
        return err_set(
            e, -EPERM,
            "%s was taken from %s: it stays unserved here until it is handed "
            "over",
            name, s->cfg->name);
    }
    return 0;
}

/* Ask the service at `control`, and whom it leads to. */
static int
find_by(struct service *s, const struct record *rec, const char *control,
        uint64_t deadline_ns, struct err *e, struct owner_answer *ret_w)
{
    struct record probe = {.role = ROLE_GIVEN, .epoch = 0};
    struct owner_answer w = {.epoch = 0};
    int rc = owner_find_ask(control, rec->uuid[0] != '\0' ? rec->uuid : NULL, rec->name,
                            deadline_ns, e, NULL, &w);

    if (rc < 0) {
        return rc;
    }
    if (w.uuid[0] == '\0') {
        return err_set(e, -ENOENT, "%s has not learned yet which disk this is",
                       w.service);
    }
    (void)snprintf(probe.uuid, sizeof probe.uuid, "%s", w.uuid);
    (void)snprintf(probe.peer_control, sizeof probe.peer_control, "%s", control);
    rc = owner_find(s, &probe, false, deadline_ns, e, ret_w);
    if (rc == 0) {
        (void)snprintf(ret_w->uuid, sizeof ret_w->uuid, "%s", probe.uuid);
    }
    return rc;
}

static int
find_owner(struct service *s, const struct record *rec, const struct attach_request *rq,
           struct err *e, struct owner_answer *ret_w)
{
    const unsigned nr = rq->nr_ask + s->cfg->nr_peers;
    int rc = err_set(e, -ENOENT,
                     "no service is known that could name its owner; give --owner URI, "
                     "or --peer to %s",
                     s->cfg->name);

    for (unsigned i = 0; i < nr; i++) {
        const char *control =
            i < rq->nr_ask ? rq->ask[i] : s->cfg->peers[i - rq->nr_ask].text;

        rc = find_by(s, rec, control, rq->deadline_ns, e, ret_w);
        if (rc == 0) {
            break;
        }
    }
    return rc;
}

/* The owner looks before and after us: what is written meanwhile does not count. */
static int
compare_once(struct disk *d, struct port *port, const struct owner_answer *w,
             uint64_t deadline_ns, struct err *e, struct owner_look *ret_look)
{
    struct owner_look after = {0};
    struct identity mine = {0};
    int rc = attach_look(d->service, w, deadline_ns, e, ret_look);

    if (rc < 0) {
        return rc;
    }
    rc = identity_take(port, &ret_look->id.info, e, &mine);
    if (rc < 0) {
        return rc;
    }
    rc = attach_look(d->service, w, deadline_ns, e, &after);
    if (rc < 0) {
        return rc;
    }
    return identity_compare(&ret_look->id, &after.id, &mine, e);
}

/* Is the device that is configured here the owner's? */
static int
compare(struct disk *d, struct port *port, const struct owner_answer *w,
        uint64_t deadline_ns, struct err *e, struct owner_look *ret_look)
{
    unsigned tries = 0;
    int rc;

    do {
        rc = compare_once(d, port, w, deadline_ns, e, ret_look);
    } while (rc == -EILSEQ && ++tries < COMPARE_TRIES);
    return rc < 0 ? err_prefix(e, rc, "%s: the device of %s and the one here",
                               d->cfg->name, w->service)
                  : 0;
}

static struct record
client_record(struct disk *d, const struct owner_answer *w,
              const struct owner_look *look)
{
    struct record rec = disk_next_record(d, ROLE_GIVEN, w->epoch);

    rec.is_learned = true;
    rec.info = redir_port(d->redir)->info;
    rec.forced_epoch = look->forced_epoch;
    rec.taken_at = look->taken_at;
    memcpy(rec.right, w->right, sizeof rec.right);
    (void)snprintf(rec.uuid, sizeof rec.uuid, "%s", w->uuid);
    (void)snprintf(rec.peer_name, sizeof rec.peer_name, "%s", w->service);
    (void)snprintf(rec.peer_control, sizeof rec.peer_control, "%s", w->control);
    rec.nr_channels = w->nr_channels;
    memcpy(rec.channels, w->channels, sizeof rec.channels);
    return rec;
}

/* The channel is connected before the record says anything. */
static int
follow_owner(struct disk *d, const struct owner_answer *w,
             const struct owner_look *look, uint64_t deadline_ns, struct err *e)
{
    struct record rec = client_record(d, w, look);
    struct port *channel = NULL;
    bool is_committed = false;
    int rc = disk_new_channel(d, &rec, e, &channel);

    if (rc == 0) {
        rc = port_channel_connect(channel, deadline_ns, e);
    }
    if (rc < 0) {
        port_close(channel);
        return err_prefix(e, rc, "%s: channel to %s", rec.name, rec.peer_name);
    }
    rc = record_commit(d->service->records, &rec, 1, e, &is_committed);
    if (rc < 0 && !is_committed) {
        port_close(channel);
        return rc;
    }
    disk_set_record(d, &rec);
    disk_follow(d, channel);
    log_info("now a client of %s, which owns %s at epoch %" PRIu64, rec.peer_name,
             rec.name, rec.epoch);
    return 0;
}

/* The disk as the owner has it, with the device that is configured here. */
static int
take_description(struct disk *d, struct port *port, const struct owner_look *look,
                 struct err *e)
{
    int rc = disk_need_redir(d, &look->id.info, e);

    if (rc < 0) {
        return rc;
    }
    rc = disk_has_size(d, look->id.info.size, e);
    if (rc < 0) {
        return rc;
    }
    return disk_can_take(d, port, e);
}

/* d is on standby and claimed. */
static int
learn(struct disk *d, const struct record *rec, const struct attach_request *rq,
      struct err *e)
{
    struct owner_look look;
    struct port *port = NULL;
    struct owner_answer w = {.epoch = 0};
    int rc = find_owner(d->service, rec, rq, e, &w);

    if (rc < 0) {
        return err_prefix(e, rc, "%s", d->cfg->name);
    }
    rc = disk_open_device(d, e, &port);
    if (rc < 0) {
        return rc;
    }
    rc = compare(d, port, &w, rq->deadline_ns, e, &look);
    if (rc == 0) {
        rc = take_description(d, port, &look, e);
    }
    port_close(port);
    return rc < 0 ? rc : follow_owner(d, &w, &look, rq->deadline_ns, e);
}

/* We are a client already: does somebody own it whom we can reach? */
static int
refresh(struct disk *d, const struct record *rec, const struct attach_request *rq,
        struct err *e)
{
    struct err ignored = {0};
    struct owner_look look;
    struct owner_answer w = {.epoch = 0};
    int rc = owner_find(d->service, rec, false, rq->deadline_ns, e, &w);

    if (rc < 0 && rc != -EALREADY) {
        return err_prefix(e, rc, "%s", rec->name);
    }
    if (rc == 0 && disk_claim(d, "following the owner", &ignored) == 0) {
        /* If not, the channel finds out by itself. */
        (void)owner_follow_write_down(d, &w, &ignored);
        disk_unclaim(d);
    }
    (void)snprintf(w.uuid, sizeof w.uuid, "%s", rec->uuid);
    /* Only so that it knows us: the devices were compared when the disk was learned. */
    (void)attach_look(d->service, &w, rq->deadline_ns, &ignored, &look);
    return 0;
}

int
attach_run(struct service *s, const struct attach_request *rq, struct err *e,
           json_t **ret_result)
{
    struct disk *d = service_find_disk(s, rq->disk);
    struct record rec;
    int rc;

    if (d == NULL) {
        return err_set(e, -ENOENT, "%s has no disk %s", s->cfg->name, rq->disk);
    }
    rec = disk_record(d);
    if (rec.role == ROLE_GIVEN) {
        rc = refresh(d, &rec, rq, e);
    } else {
        rc = disk_claim(d, "attaching to its owner", e);
        if (rc < 0) {
            return rc;
        }
        rec = disk_record(d);
        (void)snprintf(rec.name, sizeof rec.name, "%s", d->cfg->name);
        if (rec.uuid[0] == '\0') {
            (void)snprintf(rec.uuid, sizeof rec.uuid, "%s", d->cfg->uuid);
        }
        rc = refuse_role(s, &rec, d->cfg->name, e);
        if (rc == 0 && rec.role == ROLE_STANDBY) { /* or given by now: as good */
            rc = learn(d, &rec, rq, e);
        }
        disk_unclaim(d);
    }
    if (rc == 0) {
        rec = disk_record(d);
        *ret_result = json_pack("{s:s,s:s,s:s,s:s,s:I}", "disk", rec.name, "uuid",
                                rec.uuid, "role", role_name(rec.role), "owner",
                                rec.peer_name, "epoch", (json_int_t)rec.epoch);
    }
    return rc;
}

int
attach_answer(void *service, struct rpc_call *call, json_t *params, struct err *e,
              json_t **ret_result)
{
    const json_t *owner = json_object_get(params, "owner");
    const json_t *ms = json_object_get(params, "deadline_ms");
    struct attach_request rq = {.disk =
                                    json_string_value(json_object_get(params, "disk"))};
    struct uri u;

    (void)call;
    if (rq.disk == NULL || !name_is_valid(rq.disk) ||
        (owner != NULL && !json_is_string(owner)) ||
        (ms != NULL && (!json_is_integer(ms) || json_integer_value(ms) < 0 ||
                        json_integer_value(ms) > MAX_DEADLINE_MS)) ||
        json_object_size(params) != 1U + (owner != NULL) + (ms != NULL)) {
        return err_set(e, -EBADMSG,
                       "malformed call: disk, owner and deadline_ms expected, and "
                       "nothing else");
    }
    if (owner != NULL) {
        if (uri_parse(json_string_value(owner), URI_FOR_CONTROL, e, &u) < 0) {
            return err_prefix(e, -EBADMSG, "parameter \"owner\"");
        }
        rq.ask[rq.nr_ask++] = json_string_value(owner);
    }
    rq.deadline_ns =
        clock_deadline_ns(NS_PER_MS * (uint64_t)(ms != NULL ? json_integer_value(ms)
                                                            : DEFAULT_DEADLINE_MS));
    return attach_run(service, &rq, e, ret_result);
}
