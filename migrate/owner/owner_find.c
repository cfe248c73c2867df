/* SPDX-License-Identifier: BSD-3-Clause */
/* Every hop has to name an epoch above the one before: records only go forward, so a
 * chain that does not is not finished yet, and none is endless. */
#include "owner_find.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "disk.h"
#include "peer_ask.h"
#include "record.h"
#include "service.h"
#include "uri.h"

/* To connect, and again to answer. ssh "connects" at once, and only then gets there. */
#define HOP_TIMEOUT_NS (2 * NS_PER_S)
#define HOP_SSH_TIMEOUT_NS (10 * NS_PER_S)

json_t *
owner_find_channels(const struct service_config *c)
{
    json_t *list = json_array();
    const struct uri *uris = c->nr_announce > 0 ? c->announce : c->listen;
    unsigned n = c->nr_announce > 0 ? c->nr_announce : c->nr_listen;

    for (unsigned i = 0; i < n; i++) {
        (void)json_array_append_new(list, json_string(uris[i].text));
    }
    return list;
}

/* The disk that is asked about; NULL and a sentence. */
static int
find_asked(struct service *s, json_t *params, struct err *e, struct disk **ret_d)
{
    const char *uuid = json_string_value(json_object_get(params, "uuid"));
    const char *name = json_string_value(json_object_get(params, "disk"));
    struct disk *d;

    if (json_object_size(params) != 1 ||
        (uuid != NULL ? !uuid_is_valid(uuid) : name == NULL || !name_is_valid(name))) {
        return err_set(e, -EBADMSG,
                       "malformed call: uuid or disk expected, and nothing else");
    }
    d = uuid != NULL ? service_find_uuid(s, uuid) : service_find_disk(s, name);
    if (d != NULL && uuid != NULL && strcmp(disk_record(d).uuid, uuid) != 0) {
        d = NULL; /* it is only being prepared */
    }
    if (d == NULL) {
        return err_set(e, -ENOENT, "%s knows no disk %s%s", s->cfg->name,
                       uuid != NULL ? "of uuid " : "", uuid != NULL ? uuid : name);
    }
    *ret_d = d;
    return 0;
}

/* Of the VMs that have the disk open here. */
static json_t *
describe_guests(struct service *s, struct disk *d)
{
    struct vm_presence_locked guests = vm_presence_look(&d->presence);

    return json_pack("{s:s,s:I,s:I,s:I,s:b,s:b,s:I,s:b}", "vm_uuid",
                     guests.is_gone ? "" : guests.vm_uuid, "vm_clients",
                     (json_int_t)vm_presence_present(&d->presence), "vm_writers",
                     (json_int_t)guests.nr_writers, "vm_open", (json_int_t)guests.nr,
                     "vm_runs", !guests.is_gone && service_runs_vm(s, guests.vm_uuid),
                     "vm_has", vm_presence_hold(&d->presence), "clients",
                     (json_int_t)atomic_load_explicit(&d->nr_vms, memory_order_relaxed),
                     "client_writes", writers_are_there(&d->writers));
}

static json_t *
describe(struct service *s, struct disk *d)
{
    struct record rec = disk_record(d);
    const bool is_owner = rec.role == ROLE_OWNER, is_given = rec.role == ROLE_GIVEN;
    json_t *guests = describe_guests(s, d);
    json_t *j = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:s,s:o}", "service", s->cfg->name, "id",
        record_dir_service_id(s->records), "disk", d->cfg->name, "uuid", rec.uuid,
        "role", role_name(rec.role), "epoch", (json_int_t)rec.epoch, "owner",
        is_owner   ? s->cfg->name
        : is_given ? rec.peer_name
                   : "",
        "control",
        is_owner && s->cfg->has_control ? s->cfg->control.text
        : is_given                      ? rec.peer_control
                                        : "",
        "channels", is_owner ? owner_find_channels(s->cfg) : json_array());

    (void)json_object_update(j, guests);
    json_decref(guests);
    if (is_owner) {
        (void)json_object_set_new(j, "right", json_string(rec.right));
    }
    return j;
}

/* A client that follows us writes that down, and we may forget it in a crash. */
static bool
is_ahead(struct disk *d)
{
    LK_GUARD(&d->lock);

    return disk_locked(d)->is_rec_ahead;
}

int
owner_find_answer(void *service, struct rpc_call *call, json_t *params, struct err *e,
                  json_t **ret_result)
{
    struct disk *d = NULL;
    int rc = find_asked(service, params, e, &d);

    (void)call;
    if (rc == 0 && is_ahead(d)) {
        rc = err_set(e, -EAGAIN, "%s is being assigned: it is not durably owned yet",
                     d->cfg->name);
    }
    if (rc == 0) {
        *ret_result = describe(service, d);
        if (disk_record(d).role == ROLE_GIVEN) {
            atomic_fetch_add_explicit(&d->nr_told, 1, memory_order_relaxed);
        }
    }
    return rc;
}

static bool
take_text(char *to, size_t size, const char *from)
{
    return snprintf(to, size, "%s", from) < (int)size;
}

static bool
take_channels(const json_t *list, struct owner_answer *w)
{
    size_t i;
    const json_t *j;

    json_array_foreach(list, i, j)
    {
        const char *uri = json_string_value(j);

        if (uri == NULL || uri[0] == '\0' || w->nr_channels == RECORD_MAX_URIS ||
            !take_text(w->channels[w->nr_channels++], RECORD_URI_LEN, uri)) {
            return false;
        }
    }
    return true;
}

static unsigned
count_of(const json_t *j, const char *member)
{
    json_int_t n = json_integer_value(json_object_get(j, member));

    return n > 0 && n < INT32_MAX ? (unsigned)n : 0;
}

/* What was added later; an older service says nothing of it. */
static void
read_guests(const json_t *j, struct owner_answer *w)
{
    const char *uuid = json_string_value(json_object_get(j, "uuid"));
    const char *vm_uuid = json_string_value(json_object_get(j, "vm_uuid"));
    const json_t *runs = json_object_get(j, "vm_runs");

    w->nr_clients = count_of(j, "clients");
    w->is_written_by_clients = json_is_true(json_object_get(j, "client_writes"));
    if (uuid != NULL && uuid_is_valid(uuid)) {
        (void)take_text(w->uuid, sizeof w->uuid, uuid);
    }
    if (vm_uuid != NULL && uuid_is_valid(vm_uuid)) {
        (void)take_text(w->vm_uuid, sizeof w->vm_uuid, vm_uuid);
        w->nr_vms = count_of(j, "vm_clients");
        w->nr_vm_open = runs != NULL ? count_of(j, "vm_open") : w->nr_vms;
        w->has_vm =
            runs != NULL ? json_is_true(json_object_get(j, "vm_has")) : w->nr_vms > 0;
        w->vm_runs = runs != NULL ? json_is_true(runs) : count_of(j, "vm_writers") > 0;
    }
}

/* Judge what the service at `from` says. */
static int
read_answer(const json_t *j, const char *from, struct err *e,
            struct owner_answer *ret_w)
{
    struct owner_answer w = {.service = ""};
    const char *service, *id, *role, *owner, *control, *right = "";
    json_int_t epoch;
    json_t *channels;

    if (json_unpack((json_t *)j, "{s:s,s:s,s:s,s:I,s:s,s:s,s:o,s?s}", "service",
                    &service, "id", &id, "role", &role, "epoch", &epoch, "owner",
                    &owner, "control", &control, "channels", &channels, "right",
                    &right) < 0 ||
        (right[0] != '\0' && !channel_right_is_valid(right)) ||
        !name_is_valid(service) || !uuid_is_valid(id) ||
        role_parse(role, &w.role) < 0 || epoch < 0 || epoch == INT64_MAX ||
        (owner[0] != '\0' && !name_is_valid(owner)) || !take_channels(channels, &w) ||
        (w.role == ROLE_OWNER && w.nr_channels == 0) ||
        !take_text(w.control, sizeof w.control,
                   w.role == ROLE_OWNER ? from : control)) {
        return err_set(e, -EPROTO, "%s gives a malformed answer", from);
    }
    (void)take_text(w.service, sizeof w.service, service); /* checked above */
    (void)take_text(w.id, sizeof w.id, id);
    (void)take_text(w.owner, sizeof w.owner, owner);
    (void)take_text(w.right, sizeof w.right, right);
    w.epoch = (uint64_t)epoch;
    read_guests(j, &w);
    *ret_w = w;
    return 0;
}

/* NOLINTBEGIN(readability-function-size): who, what, till when, and what it says */
int
owner_find_ask(const char *control, const char *uuid, const char *disk,
               uint64_t deadline_ns, struct err *e, bool *ret_is_unknown,
               struct owner_answer *ret_w)
/* NOLINTEND(readability-function-size) */
{
    json_t *result = NULL;
    struct uri u;
    int rc = uri_parse(control, URI_FOR_CONTROL, e, &u), code = 0;

    if (rc < 0) {
        return rc;
    }
    rc = peer_ask(
        &u, "peer.where",
        uuid != NULL ? json_pack("{s:s}", "uuid", uuid)
                     : json_pack("{s:s}", "disk", disk),
        (struct peer_patience){u.kind == URI_SSH ? HOP_SSH_TIMEOUT_NS : HOP_TIMEOUT_NS,
                               deadline_ns},
        e, &code, &result);
    if (ret_is_unknown != NULL) {
        *ret_is_unknown = rc == -ENOENT && code != 0;
    }
    if (rc == 0) {
        rc = read_answer(result, control, e, ret_w);
        json_decref(result);
    } else {
        (void)err_prefix(e, rc, "%s", control);
    }
    return rc;
}

/* What follows from w, after others have led to it with epoch `known`? 0: it is the
 * owner; 1: go on to the one that it names; or it leads nowhere. */
static int
judge(const struct service *s, const struct owner_answer *w, uint64_t known,
      struct err *e)
{
    if (strcmp(w->id, record_dir_service_id(s->records)) == 0) {
        return err_set(e, -EAGAIN, "it is on its way to us, at epoch %" PRIu64, known);
    }
    if (w->role == ROLE_OWNER && w->epoch >= known) {
        return 0;
    }
    if (w->role == ROLE_GIVEN && w->epoch > known) {
        return 1;
    }
    return err_set(e, -EAGAIN,
                   "at %s it is %s at epoch %" PRIu64
                   ", and nobody has taken it since epoch %" PRIu64,
                   w->service, role_name(w->role), w->epoch, known);
}

/* Ask the service at `control`, then whom it names, and so on. */
static int
follow_chain(struct service *s, const struct record *rec, const char *control,
             uint64_t deadline_ns, struct err *e, struct owner_answer *ret_owner)
{
    char seen[OWNER_FIND_MAX_HOPS][37], trail[256] = "", next[RECORD_URI_LEN];
    uint64_t known = rec->epoch;
    size_t len = 0;

    (void)take_text(next, sizeof next, control); /* of a record, or parsed: it fits */
    for (unsigned hop = 0; hop < OWNER_FIND_MAX_HOPS; hop++) {
        int rc = owner_find_ask(next, rec->uuid, NULL, deadline_ns, e, NULL, ret_owner);

        if (rc < 0) {
            return rc;
        }
        len += (size_t)snprintf(trail + len, sizeof trail - len, "%s%s",
                                hop > 0 ? ", " : "", ret_owner->service);
        len = len < sizeof trail ? len : sizeof trail - 1; /* cut, for people only */
        for (unsigned i = 0; i < hop; i++) {
            if (strcmp(seen[i], ret_owner->id) == 0) {
                return err_set(e, -ELOOP, "the owners name each other in a circle: %s",
                               trail);
            }
        }
        (void)take_text(seen[hop], sizeof seen[hop], ret_owner->id);
        rc = judge(s, ret_owner, known, e);
        if (rc == 0 && ret_owner->right[0] == '\0') {
            return err_set(e, -EPROTO,
                           "%s owns it, but runs an older program, which tells no "
                           "right of its channels",
                           ret_owner->service);
        }
        if (rc == 0 && ret_owner->epoch == rec->epoch &&
            strcmp(ret_owner->right, rec->right) == 0) {
            return err_set(e, -EALREADY, "%s owns it, as is known here",
                           ret_owner->service);
        }
        if (rc <= 0) {
            return rc;
        }
        known = ret_owner->epoch;
        (void)take_text(next, sizeof next, ret_owner->control); /* the same size */
    }
    return err_set(e, -ELOOP, "there are more than %d owners in a row: %s",
                   OWNER_FIND_MAX_HOPS, trail);
}

int
owner_find(struct service *s, const struct record *rec, bool is_given_up,
           uint64_t deadline_ns, struct err *e, struct owner_answer *ret_owner)
{
    bool is_found = false;
    int rc = -ENOENT;

    if (!is_given_up) {
        rc = follow_chain(s, rec, rec->peer_control, deadline_ns, e, ret_owner);
        if (rc == 0 || rc == -EALREADY) {
            return rc;
        }
    }
    for (unsigned i = 0; i < s->cfg->nr_peers; i++) {
        struct err why = {0};
        struct owner_answer w;
        int peer_rc =
            follow_chain(s, rec, s->cfg->peers[i].text, deadline_ns, &why, &w);

        if (peer_rc == 0 && (!is_found || w.epoch > ret_owner->epoch)) {
            *ret_owner = w;
            is_found = true;
        } else if (peer_rc != 0 && rc == -ENOENT) {
            rc = err_set(e, peer_rc, "%s", why.msg);
        }
    }
    return is_found                       ? 0
           : rc == -ENOENT && is_given_up ? err_set(e, rc, "no peer is configured")
                                          : rc;
}
