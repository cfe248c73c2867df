/* SPDX-License-Identifier: BSD-3-Clause */
#include "vm_methods.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attach.h"
#include "clock.h"
#include "disk.h"
#include "handoff.h"
#include "lease_take.h"
#include "log.h"
#include "rpc_params.h"
#include "service.h"
#include "vm_domain.h"
#include "vm_pull.h"
#include "vm_restart.h"
#include "vm_watch.h"

#define DEFAULT_DEADLINE_MS 2000
#define MAX_DEADLINE_MS (600 * 1000)
#define LEAVE_NS (500 * NS_PER_MS)

static int
get_ask(json_t *list, struct attach_request *rq, struct err *e)
{
    json_t *j;
    size_t i;

    if (list != NULL &&
        (!json_is_array(list) || json_array_size(list) > ATTACH_MAX_ASK)) {
        return err_set(e, -EBADMSG, "parameter \"ask\": up to %d control URIs expected",
                       ATTACH_MAX_ASK);
    }
    json_array_foreach(list, i, j)
    {
        struct uri u;

        if (!json_is_string(j) ||
            uri_parse(json_string_value(j), URI_FOR_CONTROL, e, &u) < 0) {
            return err_set(e, -EBADMSG, "parameter \"ask\": control URIs expected");
        }
        rq->ask[rq->nr_ask++] = json_string_value(j);
    }
    return 0;
}

/* What is optional in vm.coming. */
static int
get_options(json_t *params, struct attach_request *rq, bool *ret_is_early,
            struct err *e)
{
    static const char *const allowed[] = {"vm",    "uuid",        "disks", "ask",
                                          "early", "deadline_ms", NULL};
    const json_t *early = json_object_get(params, "early");
    const json_t *ms = json_object_get(params, "deadline_ms");
    const json_int_t n = ms != NULL ? json_integer_value(ms) : DEFAULT_DEADLINE_MS;
    int rc = rpc_params_check(params, allowed, e);

    if (rc < 0) {
        return rc;
    }
    if ((early != NULL && !json_is_boolean(early)) ||
        (ms != NULL && !json_is_integer(ms)) || n < 0 || n > MAX_DEADLINE_MS) {
        return err_set(e, -EBADMSG,
                       "parameters \"early\" and \"deadline_ms\": a "
                       "boolean and milliseconds expected");
    }
    *ret_is_early = json_is_true(early);
    rq->deadline_ns = clock_deadline_ns((uint64_t)n * NS_PER_MS);
    return get_ask(json_object_get(params, "ask"), rq, e);
}

/* Be able to serve d now. */
static int
need_disk(struct service *s, struct disk *d, struct attach_request *rq, struct err *e)
{
    json_t *result = NULL;
    int rc;

    rq->disk = d->cfg->name;
    rc = attach_run(s, rq, e, &result);
    json_decref(result);
    return rc == -EEXIST ? 0 : rc; /* ours */
}

static json_t *
roles(const struct domain *dom)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < dom->nr; i++) {
        struct record rec = disk_record(dom->disks[i]);

        (void)json_array_append_new(
            list, json_pack("{s:s,s:s,s:s,s:s,s:I}", "disk", rec.name, "socket",
                            dom->sockets[i], "role", role_name(rec.role), "owner",
                            rec.role == ROLE_OWNER ? dom->disks[i]->service->cfg->name
                                                   : rec.peer_name,
                            "epoch", (json_int_t)rec.epoch));
    }
    return json_pack("{s:o}", "disks", list);
}

/* Announce the domain for its disk i, and have the owner let it write. On failure
 * nothing is announced any more. */
static int
let_have(struct service *s, const struct domain *dom, unsigned i, uint64_t deadline_ns,
         struct err *e)
{
    struct disk *d = dom->disks[i];
    struct record_vm vm = {.is_reader = dom->uses[i] == VM_READS,
                           .is_shared = dom->uses[i] == VM_SHARES};
    const bool is_any = d->cfg->writers == WRITERS_ANY || d->cfg->readonly;
    bool is_announced = false, is_new;
    int rc;

    (void)snprintf(vm.uuid, sizeof vm.uuid, "%s", dom->uuid);
    memcpy(vm.name, dom->vm, sizeof vm.name);
    vm.is_shared = vm.is_shared || (is_any && !vm.is_reader);
    if (!vm_restart_announce(d, &vm, &is_announced)) {
        struct record_vm other;

        record_vm_read(s->records, d->cfg->name, &other);
        return err_set(
            e, -EPERM,
            "%s: VM %s has it here at %s, and a second writer would damage it",
            d->cfg->name, other.name, s->cfg->name);
    }
    if (vm.is_reader) {
        return 0;
    }
    rc = lease_take(d, vm.uuid, vm.name, vm.is_shared,
                    vm_expected_is(&s->vm_expected, vm.uuid) ? LEASE_EXPECTED
                                                             : LEASE_START,
                    deadline_ns, e, &is_new);
    if (rc < 0 && is_announced) {
        vm_restart_forget(d, vm_presence_look(&d->presence).generation);
    }
    return rc;
}

/* All its disks, or none. */
static int
let_have_all(struct service *s, const struct domain *dom, uint64_t deadline_ns,
             struct err *e)
{
    int rc = 0;
    unsigned nr = 0;

    while (nr < dom->nr && rc == 0) {
        rc = let_have(s, dom, nr++, deadline_ns, e);
    }
    for (unsigned i = 0; rc < 0 && i + 1 < nr; i++) {
        struct disk *d = dom->disks[i];
        struct vm_presence_locked g = vm_presence_look(&d->presence);

        if (strcmp(g.vm_uuid, dom->uuid) == 0) {
            vm_restart_forget(d, g.generation);
        }
        lease_leave(d, dom->uuid, clock_deadline_ns(LEAVE_NS));
    }
    return rc;
}

int
vm_coming(void *service, struct rpc_call *call, json_t *params, struct err *e,
          json_t **ret_result)
{
    struct service *s = service;
    struct attach_request rq = {.nr_ask = 0};
    struct domain dom = {.nr = 0};
    bool is_early = false;
    int rc = vm_domain_parse(s, params, e, &dom);

    if (rc < 0) {
        return rc;
    }
    rc = get_options(params, &rq, &is_early, e);
    if (rc < 0) {
        return rc;
    }
    if (rpc_is_gone(call)) {
        return err_set(e, -ECANCELED, "nobody waits for the answer any more");
    }
    for (unsigned i = 0; i < dom.nr && rc == 0; i++) {
        rc = need_disk(s, dom.disks[i], &rq, e);
    }
    if (rc == 0) {
        rc = let_have_all(s, &dom, rq.deadline_ns, e);
    }
    if (rc == 0 && is_early) {
        rc = vm_pull(s, dom.disks, dom.nr, rq.deadline_ns, e);
    }
    if (rc < 0) {
        log_warn("VM %s cannot come: %s", dom.vm, err_text(e, rc));
        return rc;
    }
    if (dom.nr > 0) {
        log_info("VM %s is coming: its disks can be opened here", dom.vm);
    }
    *ret_result = roles(&dom);
    return 0;
}

/* The domain of a call that has no other parameters. */
static int
take_domain(struct service *s, json_t *params, struct err *e, struct domain *ret_dom)
{
    static const char *const allowed[] = {"vm", "uuid", "disks", NULL};
    int rc = vm_domain_parse(s, params, e, ret_dom);

    return rc < 0 ? rc : rpc_params_check(params, allowed, e);
}

int
vm_migrating(void *service, struct rpc_call *call, json_t *params, struct err *e,
             json_t **ret_result)
{
    struct service *s = service;
    struct domain dom = {.nr = 0};
    int rc = take_domain(s, params, e, &dom);

    (void)call;
    *ret_result = NULL;
    if (rc < 0) {
        return rc;
    }
    return vm_expected_add(&s->vm_expected, dom.uuid) < 0
               ? err_set(e, -ENOMEM, "out of memory")
               : 0;
}

/* A saved VM wants its disks as it left them. One that is parked was let go for as long
 * as the VM is away; a VM that is only started has not said so, and is refused. */
int
vm_restored(void *service, struct rpc_call *call, json_t *params, struct err *e,
            json_t **ret_result)
{
    struct service *s = service;
    struct domain dom = {.nr = 0};
    int rc = take_domain(s, params, e, &dom);

    if (rc < 0) {
        return rc;
    }
    if (rpc_is_gone(call)) {
        return err_set(e, -ECANCELED, "nobody waits for the answer any more");
    }
    for (unsigned i = 0; i < dom.nr && rc == 0; i++) {
        const struct target target = target_of("", dom.disks[i]->cfg->name);
        json_t *report = NULL;

        if (disk_record(dom.disks[i]).role == ROLE_PARKED) {
            rc = handoff_unpark(s, &target, e, &report);
            json_decref(report);
        }
    }
    if (rc < 0) {
        log_warn("VM %s cannot be restored: %s", dom.vm, err_text(e, rc));
        return rc;
    }
    *ret_result = roles(&dom);
    return 0;
}

/* What a VM that is gone leaves behind: what is ours of it, in w. */
static json_t *
take_gone(const struct domain *dom, struct vm_watch *w)
{
    const uint64_t leave_ns = clock_deadline_ns(LEAVE_NS); /* for all: libvirt waits */
    json_t *list = json_array();

    (void)snprintf(w->vm, sizeof w->vm, "%s", dom->vm);
    (void)snprintf(w->uuid, sizeof w->uuid, "%s", dom->uuid);
    for (unsigned i = 0; i < dom->nr; i++) {
        struct disk *d = dom->disks[i];

        const bool is_ours = vm_restart_end(d, dom->uuid, dom->vm);

        lease_leave(d, dom->uuid, leave_ns);
        if (!is_ours) {
            continue; /* of another VM by now */
        }
        if (disk_record(d).role != ROLE_OWNER) {
            vm_restart_forget(d, vm_presence_look(&d->presence).generation);
            continue; /* not ours to give */
        }
        (void)json_array_append_new(list, json_string(d->cfg->name));
        w->disks[w->nr].generation = vm_presence_look(&d->presence).generation;
        w->disks[w->nr].is_reader = dom->uses[i] == VM_READS;
        w->disks[w->nr++].disk = d;
    }
    return list;
}

int
vm_gone(void *service, struct rpc_call *call, json_t *params, struct err *e,
        json_t **ret_result)
{
    struct vm_watch w = {.service = service};
    struct domain dom = {.nr = 0};
    json_t *list;
    int rc = take_domain(service, params, e, &dom);

    (void)call;
    if (rc < 0) {
        return rc;
    }
    vm_expected_remove(&w.service->vm_expected, dom.uuid);
    list = take_gone(&dom, &w);
    if (w.nr > 0) {
        rc = vm_watch_start(&w, e);
    } else if (dom.nr > 0) {
        log_info("VM %s is gone: none of its disks is owned here", dom.vm);
    }
    if (rc < 0) {
        json_decref(list);
        return rc;
    }
    *ret_result = json_pack("{s:o}", "disks", list);
    return 0;
}
