/* SPDX-License-Identifier: BSD-3-Clause */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attach.h"
#include "clock.h"
#include "device_check.h"
#include "handoff.h"
#include "handoff_all.h"
#include "lease_take.h"
#include "owner_find.h"
#include "recover.h"
#include "rpc_params.h"
#include "service.h"
#include "status.h"
#include "takeover.h"
#include "target.h"
#include "uri.h"
#include "vm_methods.h"

#define DEFAULT_DEADLINE_MS 5000
#define MAX_DEADLINE_MS (3600 * 1000)

static int
get_target(json_t *params, struct err *e, struct target *ret_target)
{
    const char *t = json_string_value(json_object_get(params, "target"));

    if (t == NULL || target_parse(t, false, ret_target) < 0) {
        return err_set(e, -EBADMSG,
                       "parameter \"target\": a disk's name or vm:NAME "
                       "expected");
    }
    return 0;
}

/* An optional integer of 0..max. */
static int
get_number(json_t *params, const char *key, json_int_t max, json_int_t *ret_n,
           struct err *e)
{
    json_t *j = json_object_get(params, key);

    if (j == NULL) {
        return 0;
    }
    if (!json_is_integer(j) || json_integer_value(j) < 0 ||
        json_integer_value(j) > max) {
        return err_set(e, -EBADMSG,
                       "parameter \"%s\": a number from 0 to %lld expected", key,
                       (long long)max);
    }
    *ret_n = json_integer_value(j);
    return 0;
}

/* Of a handoff; deadline_ms and budget_us. */
static int
get_times(json_t *params, uint64_t *ret_deadline_ns, uint64_t *ret_budget_ns,
          struct err *e)
{
    json_int_t deadline_ms = DEFAULT_DEADLINE_MS, budget_us = -1;
    int rc = get_number(params, "deadline_ms", MAX_DEADLINE_MS, &deadline_ms, e);

    if (rc < 0) {
        return rc;
    }
    rc = get_number(params, "budget_us", INT64_MAX / 1000, &budget_us, e);
    if (rc < 0) {
        return rc;
    }
    *ret_deadline_ns = (uint64_t)deadline_ms * NS_PER_MS;
    *ret_budget_ns = budget_us < 0 ? CLOCK_NEVER : (uint64_t)budget_us * NS_PER_US;
    return 0;
}

static int
control_status(void *service, struct rpc_call *call, json_t *params, struct err *e,
               json_t **ret_result)
{
    static const char *const allowed[] = {"disk", NULL};
    json_t *disk = json_object_get(params, "disk");
    int rc = rpc_params_check(params, allowed, e);

    (void)call;
    if (rc < 0) {
        return rc;
    }
    if (disk != NULL && !json_is_string(disk)) {
        return err_set(e, -EBADMSG, "parameter \"disk\": a disk's name expected");
    }
    return status_report(service, json_string_value(disk), e, ret_result);
}

static void
send_progress(void *call, enum handoff_phase phase, const char *detail,
              uint64_t elapsed_us)
{
    rpc_notify(call, "progress",
               json_pack("{s:s,s:s,s:I}", "phase", handoff_phase_name(phase), "detail",
                         detail, "elapsed_us", (json_int_t)elapsed_us));
}

static int
run(void *service, struct rpc_call *call, json_t *params, struct handoff_request rq,
    struct err *e, json_t **ret_result)
{
    int rc = get_target(params, e, &rq.target);

    if (rc < 0) {
        return rc;
    }
    rc = get_times(params, &rq.deadline_ns, &rq.budget_ns, e);
    if (rc < 0) {
        return rc;
    }
    return handoff_run(service, &rq, send_progress, call, e, ret_result);
}

static int
control_handoff(void *service, struct rpc_call *call, json_t *params, struct err *e,
                json_t **ret_result)
{
    static const char *const allowed[] = {"target", "to", "deadline_ms", "budget_us",
                                          NULL};
    const char *to = json_string_value(json_object_get(params, "to"));
    int rc = rpc_params_check(params, allowed, e);

    if (rc < 0) {
        return rc;
    }
    if (to == NULL) {
        return err_set(e, -EBADMSG, "parameter \"to\": a control URI expected");
    }
    return run(service, call, params,
               (struct handoff_request){.kind = JOB_HAND_OVER, .to = to}, e,
               ret_result);
}

static void
send_all_progress(void *call, const struct handoff_all_progress *p)
{
    char phase[32];

    (void)snprintf(phase, sizeof phase, "%u of %u", p->handed + p->stayed, p->nr);
    rpc_notify(call, "progress",
               json_pack("{s:s,s:s,s:I,s:i,s:i,s:i}", "phase", phase, "detail",
                         p->latest, "elapsed_us", (json_int_t)p->elapsed_us, "targets",
                         (int)p->nr, "handed", (int)p->handed, "stayed",
                         (int)p->stayed));
}

static int
control_handoff_all(void *service, struct rpc_call *call, json_t *params, struct err *e,
                    json_t **ret_result)
{
    static const char *const allowed[] = {"to", "deadline_ms", "budget_us", "parallel",
                                          NULL};
    const char *to = json_string_value(json_object_get(params, "to"));
    json_int_t parallel = HANDOFF_ALL_PARALLEL;
    struct handoff_all_request rq = {.to = to};
    struct uri u;
    int rc = rpc_params_check(params, allowed, e);

    if (rc < 0) {
        return rc;
    }
    rc = get_times(params, &rq.deadline_ns, &rq.budget_ns, e);
    if (rc < 0) {
        return rc;
    }
    rc = get_number(params, "parallel", HANDOFF_ALL_MAX_PARALLEL, &parallel, e);
    if (rc < 0) {
        return rc;
    }
    if (to == NULL) {
        return err_set(e, -EBADMSG, "parameter \"to\": a control URI expected");
    }
    if (uri_parse(to, URI_FOR_CONTROL, e, &u) < 0) {
        return err_prefix(e, -EBADMSG, "parameter \"to\"");
    }
    rq.parallel = parallel > 0 ? (unsigned)parallel : 1;
    return handoff_all(service, &rq, send_all_progress, call, e, ret_result);
}

static int
control_park(void *service, struct rpc_call *call, json_t *params, struct err *e,
             json_t **ret_result)
{
    static const char *const allowed[] = {"target", "deadline_ms", NULL};
    int rc = rpc_params_check(params, allowed, e);

    if (rc < 0) {
        return rc;
    }
    return run(service, call, params, (struct handoff_request){.kind = JOB_PARK}, e,
               ret_result);
}

static int
target_only(json_t *params, struct err *e, struct target *ret_target)
{
    static const char *const allowed[] = {"target", NULL};
    int rc = rpc_params_check(params, allowed, e);

    return rc < 0 ? rc : get_target(params, e, ret_target);
}

static int
control_unpark(void *service, struct rpc_call *call, json_t *params, struct err *e,
               json_t **ret_result)
{
    static const char *const allowed[] = {"target", "deadline_ms", NULL};
    struct target target;
    json_int_t deadline_ms;
    int rc = rpc_params_check(params, allowed, e);

    (void)call;
    if (rc < 0) {
        return rc;
    }
    rc = get_target(params, e, &target);
    if (rc < 0) {
        return rc;
    }
    rc = get_number(params, "deadline_ms", MAX_DEADLINE_MS, &deadline_ms, e);
    if (rc < 0) {
        return rc;
    }
    return handoff_unpark(service, &target, e, ret_result);
}

static int
control_abort(void *service, struct rpc_call *call, json_t *params, struct err *e,
              json_t **ret_result)
{
    struct target target;
    int rc = target_only(params, e, &target);

    *ret_result = NULL;
    return rc < 0 ? rc : handoff_abort(service, &target, send_progress, call, e);
}

/* ask: control URIs; [] when it is missing. */
static int
get_uris(json_t *list, const char **uris, unsigned *ret_nr, struct err *e)
{
    json_t *j;
    size_t i;

    if (list != NULL &&
        (!json_is_array(list) || json_array_size(list) > RECOVER_MAX_OTHERS - 1)) {
        return err_set(e, -EBADMSG, "parameter \"ask\": up to %d control URIs expected",
                       RECOVER_MAX_OTHERS - 1);
    }
    json_array_foreach(list, i, j)
    {
        struct uri u;

        if (!json_is_string(j)) {
            return err_set(e, -EBADMSG, "parameter \"ask\": control URIs expected");
        }
        if (uri_parse(json_string_value(j), URI_FOR_CONTROL, e, &u) < 0) {
            return err_prefix(e, -EBADMSG, "parameter \"ask\"");
        }
        uris[(*ret_nr)++] = json_string_value(j);
    }
    return 0;
}

static int
accept_device(struct service *s, const struct recover_question *rq, struct err *e,
              json_t **ret_result)
{
    int rc =
        rq->is_take
            ? err_set(e, -EBADMSG,
                      "parameters \"take\" and \"accept_device\" exclude each other")
            : device_accept(s, rq->target.text, e);

    if (rc == 0) {
        *ret_result = json_pack("{s:s,s:s,s:b}", "service", s->cfg->name, "target",
                                rq->target.text, "accepted", 1);
    }
    return rc;
}

static int
control_recover(void *service, struct rpc_call *call, json_t *params, struct err *e,
                json_t **ret_result)
{
    static const char *const allowed[] = {"target", "take", "ask", "accept_device",
                                          NULL};
    json_t *accept = json_object_get(params, "accept_device");
    json_t *take = json_object_get(params, "take");
    struct recover_question rq = {.is_take = json_is_true(take)};
    int rc = rpc_params_check(params, allowed, e);

    (void)call;
    if (rc < 0) {
        return rc;
    }
    rc = get_target(params, e, &rq.target);
    if (rc < 0) {
        return rc;
    }
    rc = get_uris(json_object_get(params, "ask"), rq.ask, &rq.nr_ask, e);
    if (rc < 0) {
        return rc;
    }
    if (take != NULL && !json_is_boolean(take)) {
        return err_set(e, -EBADMSG, "parameter \"take\": true or false expected");
    }
    if (accept != NULL && !json_is_boolean(accept)) {
        return err_set(e, -EBADMSG,
                       "parameter \"accept_device\": true or false expected");
    }
    return json_is_true(accept) ? accept_device(service, &rq, e, ret_result)
                                : recover_run(service, &rq, e, ret_result);
}

const struct rpc_method control_methods[] = {
    {"status", control_status},
    {"handoff", control_handoff},
    {"handoff-all", control_handoff_all},
    {"park", control_park},
    {"unpark", control_unpark},
    {"abort", control_abort},
    {"ping", takeover_ping},
    {"peer.prepare", takeover_prepare},
    {"peer.pause", takeover_pause},
    {"peer.assign", takeover_assign},
    {"peer.cancel", takeover_cancel},
    {"peer.where", owner_find_answer},
    {"recover", control_recover},
    {"attach", attach_answer},
    {"vm.coming", vm_coming},
    {"vm.migrating", vm_migrating},
    {"vm.gone", vm_gone},
    {"vm.restored", vm_restored},
    {"peer.look", attach_look_answer},
    {"peer.lease", lease_answer},
    {"lease", lease_control},
    {NULL, NULL},
};
