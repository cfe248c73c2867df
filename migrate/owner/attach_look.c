/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach_look.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "attach.h"
#include "clock.h"
#include "disk.h"
#include "owner_find.h"
#include "peer_ask.h"
#include "record.h"
#include "service.h"

#define AGAIN_NS (20 * NS_PER_MS)

static int
read_look(const json_t *j, struct err *e, struct owner_look *ret_look)
{
    const json_int_t forced = json_integer_value(json_object_get(j, "forced_epoch"));
    const json_int_t at = json_integer_value(json_object_get(j, "taken_at"));
    struct owner_look look = {.forced_epoch = forced > 0 ? (uint64_t)forced : 0,
                              .taken_at = at > 0 ? (uint64_t)at : 0};
    int rc = identity_from_json(json_object_get(j, "device"), e, &look.id);

    if (rc == 0) {
        *ret_look = look;
    }
    return rc;
}

static int
ask_once(struct service *s, const struct owner_answer *w, uint64_t deadline_ns,
         struct err *e, struct owner_look *ret_look)
{
    json_t *params, *result = NULL;
    struct uri u;
    int rc = uri_parse(w->control, URI_FOR_CONTROL, e, &u);

    if (rc < 0) {
        return rc;
    }
    params = json_pack("{s:s,s:I}", "uuid", w->uuid, "epoch", (json_int_t)w->epoch);
    if (s->cfg->has_control) {
        (void)json_object_set_new(params, "from_control",
                                  json_string(config_control_for(s->cfg, &u)));
    }
    rc = peer_ask(&u, "peer.look", params,
                  (struct peer_patience){CLOCK_NEVER, deadline_ns}, e, NULL, &result);
    if (rc == 0) {
        rc = read_look(result, e, ret_look);
        json_decref(result);
    }
    return rc;
}

int
attach_look(struct service *s, const struct owner_answer *w, uint64_t deadline_ns,
            struct err *e, struct owner_look *ret_look)
{
    int rc = ask_once(s, w, deadline_ns, e, ret_look);

    while (rc == -EBUSY && clock_now_ns() + AGAIN_NS < deadline_ns) {
        clock_pass(AGAIN_NS);
        rc = ask_once(s, w, deadline_ns, e, ret_look);
    }
    return rc < 0 ? err_prefix(e, rc, "%s", w->control) : 0;
}

/* d is claimed, so its port A stays. */
static int
look(struct disk *d, uint64_t epoch, struct err *e, json_t **ret_result)
{
    struct record rec = disk_record(d);
    struct identity id;
    int rc;

    if (rec.role != ROLE_OWNER || rec.epoch != epoch ||
        redir_active(disk_redir(d)) == NULL) {
        return err_set(e, -EAGAIN, "at %s, %s is %s at epoch %" PRIu64,
                       d->service->cfg->name, d->cfg->name, role_name(rec.role),
                       rec.epoch);
    }
    if (d->service->opaque_filter[0] != '\0') {
        return err_set(e, -EINVAL,
                       "%s: %s has nbdkit's filter %s in front of its disks, and a "
                       "channel would pass through it too; use a layer instead",
                       d->cfg->name, d->service->cfg->name, d->service->opaque_filter);
    }
    rc = identity_take(redir_active(d->redir), &redir_port(d->redir)->info, e, &id);
    if (rc < 0) {
        return err_prefix(e, rc, "%s", d->cfg->name);
    }
    id.info = redir_port(d->redir)->info;
    *ret_result =
        json_pack("{s:o,s:I,s:I}", "device", identity_to_json(&id), "forced_epoch",
                  (json_int_t)rec.forced_epoch, "taken_at", (json_int_t)rec.taken_at);
    return 0;
}

int
attach_look_answer(void *service, struct rpc_call *call, json_t *params, struct err *e,
                   json_t **ret_result)
{
    struct service *s = service;
    const char *uuid, *control = "";
    json_int_t epoch;
    struct disk *d;
    struct uri u;
    int rc;

    (void)call;
    if (json_unpack_ex(params, NULL, JSON_STRICT, "{s:s,s:I,s?s}", "uuid", &uuid,
                       "epoch", &epoch, "from_control", &control) != 0 ||
        !uuid_is_valid(uuid) || epoch < 1 ||
        (control[0] != '\0' && uri_parse(control, URI_FOR_CONTROL, NULL, &u) < 0)) {
        return err_set(e, -EBADMSG,
                       "malformed call: uuid, epoch and from_control expected");
    }
    d = service_find_uuid(s, uuid);
    if (d == NULL) {
        return err_set(e, -ENOENT, "%s knows no disk of uuid %s", s->cfg->name, uuid);
    }
    rc = disk_claim(d, "a look at its device", e);
    if (rc < 0) {
        return rc;
    }
    rc = look(d, (uint64_t)epoch, e, ret_result);
    disk_unclaim(d);
    if (rc == 0) {
        peers_seen_add(&s->peers_seen, control);
    }
    return rc;
}
