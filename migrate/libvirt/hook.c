/* SPDX-License-Identifier: BSD-3-Clause */
#include "hook.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "clock.h"
#include "log.h"
#include "rpc.h"

/* Of the time that there is, for the answer of a service that gives up. */
#define MARGIN_NS (100 * NS_PER_MS)

enum hook_event
hook_event_of(const char *op, const char *sub_op)
{
    static const struct {
        const char *op, *sub_op;
        enum hook_event event;
    } events[] = {
        {"prepare", "begin", HOOK_COMING},
        {"release", "end", HOOK_GONE},
        {"migrate", "begin", HOOK_REWRITE},
        {"restore", "begin", HOOK_RESTORED},
    };

    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (strcmp(events[i].op, op) == 0 && strcmp(events[i].sub_op, sub_op) == 0) {
            return events[i].event;
        }
    }
    return HOOK_NOTHING;
}

static bool
is_ours(const struct hook_config *c, const char *socket)
{
    for (unsigned i = 0; i < c->nr_sockets; i++) {
        if (strcmp(c->sockets[i], socket) == 0) {
            return true;
        }
    }
    return c->nr_sockets == 0; /* the services know */
}

/* [{name, socket}] of the disks that may be ours. */
static json_t *
disk_list(const struct hook_config *c, const struct hook_domain *dom)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < dom->nr; i++) {
        if (is_ours(c, dom->disks[i].socket)) {
            (void)json_array_append_new(list, json_pack("{s:s,s:s}", "name",
                                                        dom->disks[i].name, "socket",
                                                        dom->disks[i].socket));
        }
    }
    return list;
}

/* *ret_is_there: was there a service to refuse it? */
static int
call(const struct uri *control, const char *method, json_t *params,
     uint64_t deadline_ns, struct err *e, bool *ret_is_there)
{
    struct rpc_client *client;
    json_t *result = NULL;
    int rc = rpc_client_open(control, deadline_ns, e, &client);

    *ret_is_there = rc == 0 || rc == -ETIMEDOUT;
    if (rc == 0) {
        rc = rpc_call(client, method, json_incref(params), NULL, NULL, deadline_ns, e,
                      NULL, &result);
        rpc_client_close(client);
        json_decref(result);
    }
    return rc < 0 ? err_prefix(e, rc, "%s", control->text) : 0;
}

static json_t *
coming_params(const struct hook_config *c, uint64_t deadline_ns)
{
    const uint64_t now_ns = clock_now_ns() + MARGIN_NS;
    const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    json_t *ask = json_array();

    for (unsigned i = 0; i < c->nr_peers; i++) {
        (void)json_array_append_new(ask, json_string(c->peers[i].text));
    }
    return json_pack("{s:o,s:b,s:I}", "ask", ask, "early", c->is_early, "deadline_ms",
                     (json_int_t)(left_ns / NS_PER_MS));
}

/* Tell every service of this host; extra is stolen. */
static int
tell(const struct hook_config *c, const struct hook_domain *dom, const char *method,
     json_t *extra, uint64_t deadline_ns, struct err *e)
{
    json_t *disks = disk_list(c, dom);
    const bool is_any = json_array_size(disks) > 0;
    json_t *params =
        json_pack("{s:s,s:s,s:o}", "vm", dom->name, "uuid", dom->uuid, "disks", disks);
    int rc = 0;

    (void)json_object_update(params, extra);
    json_decref(extra);
    for (unsigned i = 0; i < c->nr_controls && is_any && rc == 0; i++) {
        bool is_there;

        rc = call(&c->controls[i], method, params, deadline_ns, e, &is_there);
        if (rc < 0 && !is_there) {
            log_warn("%s", e->msg);
            rc = 0;
        }
    }
    json_decref(params);
    return rc;
}

int
hook_coming(const struct hook_config *c, const struct hook_domain *dom,
            uint64_t deadline_ns, struct err *e)
{
    return tell(c, dom, "vm.coming", coming_params(c, deadline_ns), deadline_ns, e);
}

int
hook_restored(const struct hook_config *c, const struct hook_domain *dom,
              uint64_t deadline_ns, struct err *e)
{
    return tell(c, dom, "vm.restored", json_object(), deadline_ns, e);
}

int
hook_gone(const struct hook_config *c, const struct hook_domain *dom,
          uint64_t deadline_ns, struct err *e)
{
    return tell(c, dom, "vm.gone", json_object(), deadline_ns, e);
}
