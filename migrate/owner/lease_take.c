/* SPDX-License-Identifier: BSD-3-Clause */
#include "lease_take.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "disk.h"
#include "lease.h"
#include "lease_grant.h"
#include "log.h"
#include "owner_find.h"
#include "peer_ask.h"
#include "record.h"
#include "service.h"
#include "writers.h"

#define AGAIN_NS (20 * NS_PER_MS)
#define GRANT_NS NS_PER_S /* for the owner to ask who has it */
#define NO_METHOD (-32601)
#define RENEW_NS (2 * NS_PER_S)

static const char *const how_names[] = {
    [LEASE_START] = "start", [LEASE_EXPECTED] = "expected", [LEASE_RUNS] = "runs"};

static struct lease
own_lease(struct disk *d, const char *vm_uuid, const char *vm, bool is_shared,
          const struct uri *owner)
{
    const struct service_config *cfg = d->service->cfg;
    struct lease l = {.is_shared = is_shared};

    (void)snprintf(l.vm_uuid, sizeof l.vm_uuid, "%s", vm_uuid);
    (void)snprintf(l.vm, sizeof l.vm, "%s", vm);
    (void)snprintf(l.id, sizeof l.id, "%s", record_dir_service_id(d->service->records));
    (void)snprintf(l.service, sizeof l.service, "%s", cfg->name);
    if (cfg->has_control) {
        (void)snprintf(l.control, sizeof l.control, "%s",
                       owner != NULL ? config_control_for(cfg, owner)
                                     : cfg->control.text);
    }
    return l;
}

json_t *
lease_list_for(struct disk *d, const struct uri *to)
{
    const char *us = record_dir_service_id(d->service->records);
    json_t *list = lease_list(d), *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        const char *id = json_string_value(json_object_get(item, "id"));

        if (id != NULL && strcmp(id, us) == 0) {
            (void)json_object_set_new(
                item, "control", json_string(config_control_for(d->service->cfg, to)));
        }
    }
    return list;
}

/* One call to the owner at control. */
static int
ask_owner(struct disk *d, const char *control, struct lease *l, const char *how,
          uint64_t deadline_ns, struct err *e, bool *ret_is_new)
{
    struct record rec = disk_record(d);
    json_t *result = NULL;
    struct uri u;
    int code = 0, rc = uri_parse(control, URI_FOR_CONTROL, e, &u);

    if (rc < 0) {
        return rc;
    }
    (void)snprintf(
        l->control, sizeof l->control, "%s",
        d->service->cfg->has_control ? config_control_for(d->service->cfg, &u) : "");
    rc = peer_ask(&u, "peer.lease",
                  json_pack("{s:s,s:s,s:o}", "uuid", rec.uuid, "how", how, "lease",
                            lease_to_json(l)),
                  (struct peer_patience){CLOCK_NEVER, deadline_ns}, e, &code, &result);
    if (rc < 0 && code == NO_METHOD) {
        return 0; /* an older service lets everybody have it */
    }
    *ret_is_new = json_is_true(json_object_get(result, "new"));
    json_decref(result);
    return rc;
}

/* NOLINTBEGIN(readability-function-size): who, of what, how, and till when */
int
lease_take(struct disk *d, const char *vm_uuid, const char *vm, bool is_shared,
           enum lease_how how, uint64_t deadline_ns, struct err *e, bool *ret_is_new)
/* NOLINTEND(readability-function-size) */
{
    char control[RECORD_URI_LEN] = "";
    int rc;

    *ret_is_new = false;
    if (d->cfg->writers == WRITERS_ANY || d->cfg->readonly) {
        return 0;
    }
    for (;;) {
        struct record rec = disk_record(d);
        struct lease l = own_lease(d, vm_uuid, vm, is_shared, NULL);
        struct owner_answer w;

        if (rec.role != ROLE_GIVEN) {
            rc = lease_grant(d, &l, how, deadline_ns, e, ret_is_new);
        } else {
            rc = ask_owner(d, control[0] != '\0' ? control : rec.peer_control, &l,
                           how_names[how], deadline_ns, e, ret_is_new);
        }
        if ((rc != -EAGAIN && rc != -EBUSY) ||
            clock_now_ns() + AGAIN_NS > deadline_ns) {
            return rc;
        }
        clock_pass(AGAIN_NS); /* a handoff is going on, or is over and we hear of it */
        if (rec.role == ROLE_GIVEN &&
            owner_find(d->service, &rec, false, deadline_ns, e, &w) == 0) {
            (void)snprintf(control, sizeof control, "%s", w.control);
        }
    }
}

void
lease_leave(struct disk *d, const char *vm_uuid, uint64_t deadline_ns)
{
    struct record rec = disk_record(d);
    struct err ignored = {{0}};
    bool is_new;

    if (d->cfg->writers == WRITERS_ANY || d->cfg->readonly) {
        return;
    }
    if (rec.role == ROLE_GIVEN) {
        struct lease l = own_lease(d, vm_uuid, "", false, NULL);

        (void)ask_owner(d, rec.peer_control, &l, "end", deadline_ns, &ignored, &is_new);
    } else {
        (void)lease_drop(d, vm_uuid, record_dir_service_id(d->service->records));
    }
}

void
lease_renew(struct disk *d)
{
    struct vm_presence_locked g = vm_presence_look(&d->presence);
    struct err ignored = {{0}};
    struct record_vm vm;
    bool is_new;

    if (vm_presence_hold(&d->presence) && !g.is_reader) {
        record_vm_read(d->service->records, d->cfg->name, &vm);
        (void)lease_take(d, g.vm_uuid, vm.name, g.is_shared, LEASE_RUNS,
                         clock_deadline_ns(RENEW_NS), &ignored, &is_new);
    }
    if (writers_are_there(&d->writers)) {
        (void)lease_take(d, LEASE_CLIENTS, "a client", false, LEASE_RUNS,
                         clock_deadline_ns(RENEW_NS), &ignored, &is_new);
    }
}

int
lease_answer(void *service, struct rpc_call *call, json_t *params, struct err *e,
             json_t **ret_result)
{
    const char *uuid, *how_text;
    struct lease l;
    struct disk *d;
    bool is_new = false;
    json_t *lease;
    unsigned how = 0;
    int rc;

    (void)call;
    if (json_unpack_ex(params, NULL, JSON_STRICT, "{s:s,s:s,s:o}", "uuid", &uuid, "how",
                       &how_text, "lease", &lease) != 0 ||
        !uuid_is_valid(uuid) || !lease_from_json(lease, &l)) {
        return err_set(e, -EBADMSG, "malformed call: uuid, how and lease expected");
    }
    d = service_find_uuid(service, uuid);
    if (d == NULL) {
        return err_set(e, -ENOENT, "no disk with uuid %s is served here", uuid);
    }
    *ret_result = NULL;
    if (strcmp(how_text, "end") == 0) {
        struct lease has;
        bool is_silent;

        /* Said late, it may have been started there again. */
        if (lease_find(d, &l, &has) &&
            (!lease_grant_is_used(d, &l, clock_deadline_ns(GRANT_NS), &is_silent) ||
             is_silent)) {
            lease_end(d, &has);
        }
        return 0;
    }
    while (how <= LEASE_RUNS && strcmp(how_names[how], how_text) != 0) {
        how++;
    }
    if (how > LEASE_RUNS) {
        return err_set(e, -EBADMSG, "how: allowed: start, expected, runs, end");
    }
    rc = d->cfg->writers == WRITERS_ANY || d->cfg->readonly
             ? 0
             : lease_grant(d, &l, how, clock_deadline_ns(GRANT_NS), e, &is_new);
    if (rc == 0) {
        *ret_result = json_pack("{s:b}", "new", is_new);
    }
    return rc;
}

int
lease_control(void *service, struct rpc_call *call, json_t *params, struct err *e,
              json_t **ret_result)
{
    struct service *s = service;
    const char *target = NULL;
    int is_release = false;
    struct disk *d;
    enum role role;

    (void)call;
    if (json_unpack_ex(params, NULL, JSON_STRICT, "{s:s,s?b}", "target", &target,
                       "release", &is_release) != 0) {
        return err_set(e, -EBADMSG, "malformed call: target and release expected");
    }
    d = service_find_disk(s, target);
    if (d == NULL) {
        return err_set(e, -ENOENT, "%s has no disk %.64s", s->cfg->name, target);
    }
    role = disk_record(d).role;
    if (role != ROLE_OWNER && role != ROLE_PARKED) {
        return err_set(e, -EPERM, "at %s, %s is %s; only its owner knows the leases",
                       s->cfg->name, d->cfg->name, role_name(role));
    }
    *ret_result = json_pack("{s:s,s:o,s:b}", "disk", d->cfg->name, "leases",
                            lease_list(d), "released", is_release);
    if (is_release && lease_drop(d, NULL, NULL) > 0) {
        log_warn("%s: its leases are ended, because a person said so", d->cfg->name);
    }
    return 0;
}
