/* SPDX-License-Identifier: BSD-3-Clause */
#include "hook.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "clock.h"
#include "log.h"
#include "rpc.h"
#include "socket_path.h"

/* A service gives up this much before the deadline, so that its answer still arrives.
 */
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

/* The path by which our services know the domain's socket: that of hook.conf for the
 * same socket, or the domain's own path if hook.conf names no socket at all. NULL: the
 * socket is not ours. */
static const char *
our_socket(const struct hook_config *c, const char *socket)
{
    for (unsigned i = 0; i < c->nr_sockets; i++) {
        if (socket_path_is_same(c->sockets[i], socket)) {
            return c->sockets[i];
        }
    }
    return c->nr_sockets == 0 ? socket : NULL; /* then the services decide */
}

/* [{name, socket, use}] of the disks that may be ours. */
static json_t *
disk_list(const struct hook_config *c, const struct hook_domain *dom)
{
    static const char *const uses[] = {
        [HOOK_WRITES] = NULL, [HOOK_READS] = "read", [HOOK_SHARES] = "share"};
    json_t *list = json_array();

    for (unsigned i = 0; i < dom->nr; i++) {
        const struct hook_disk *d = &dom->disks[i];
        const char *socket = our_socket(c, d->socket);

        if (socket != NULL) {
            (void)json_array_append_new(list, json_pack("{s:s,s:s,s:s*}", "name",
                                                        d->name, "socket", socket,
                                                        "use", uses[d->use]));
        }
    }
    return list;
}

/* *ret_is_there: there was a service, so that a failure is its refusal. */
static int
call(const struct uri *control, const char *method, json_t *params,
     uint64_t deadline_ns, struct err *e, bool *ret_is_there, json_t **ret_result)
{
    struct rpc_client *client;
    int rc = rpc_client_open(control, deadline_ns, e, &client);

    *ret_is_there = rc == 0 || rc == -ETIMEDOUT;
    if (rc == 0) {
        rc = rpc_call(client, method, json_incref(params), NULL, NULL, deadline_ns, e,
                      NULL, ret_result);
        rpc_client_close(client);
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

/* What the services have said so far. */
struct answers {
    json_t *sockets;  /* {SOCKET: true} of those where one of them listens */
    bool is_one_away; /* a service does not answer, or not say where it listens */
};

/* Take disks[].socket of result, which an older service does not send. */
static void
take_answer(const json_t *result, struct answers *a)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(result, "disks"), i, item)
    {
        const char *socket = json_string_value(json_object_get(item, "socket"));

        if (socket != NULL) {
            (void)json_object_set_new(a->sockets, socket, json_true());
        } else {
            a->is_one_away = true;
        }
    }
}

/* Tell every service of this host; extra is stolen. */
/* NOLINTBEGIN(readability-function-size): each of the seven is needed */
static int
tell(const struct hook_config *c, const struct hook_domain *dom, const char *method,
     json_t *extra, uint64_t deadline_ns, struct answers *answers, struct err *e)
/* NOLINTEND(readability-function-size) */
{
    json_t *disks = disk_list(c, dom);
    const bool is_any = json_array_size(disks) > 0;
    json_t *params =
        json_pack("{s:s,s:s,s:o}", "vm", dom->name, "uuid", dom->uuid, "disks", disks);
    int rc = 0;

    (void)json_object_update(params, extra);
    json_decref(extra);
    for (unsigned i = 0; i < c->nr_controls && is_any && rc == 0; i++) {
        json_t *result = NULL;
        bool is_there;

        rc = call(&c->controls[i], method, params, deadline_ns, e, &is_there, &result);
        if (rc < 0 && !is_there) {
            log_warn("%s", e->msg);
            answers->is_one_away = true;
            rc = 0;
        }
        take_answer(result, answers);
        json_decref(result);
    }
    json_decref(params);
    return rc;
}

/* Warn of each disk of the domain that no service looks after. Refuse the domain if
 * hook.conf says that such a disk is ours. */
static int
check_rest(const struct hook_config *c, const struct hook_domain *dom,
           const struct answers *a, struct err *e)
{
    for (unsigned i = 0; i < dom->nr; i++) {
        const struct hook_disk *d = &dom->disks[i];
        const char *socket = our_socket(c, d->socket);

        if (socket != NULL && json_object_get(a->sockets, socket) != NULL) {
            continue;
        }
        if (socket != NULL && c->nr_sockets > 0 && !a->is_one_away) {
            return err_set(e, -ENOENT,
                           "disk \"%s\": socket = in hook.conf says that %s is "
                           "Baton's, but no service of control = listens there",
                           d->name, socket);
        }
        if (socket == NULL && access(d->socket, F_OK) == 0) {
            continue; /* it is another server's */
        }
        log_warn(
            "%s: disk \"%s\": %s at %s, so the disk is not made usable here and its "
            "owner does not follow the domain; see socket = and map = in hook.conf",
            dom->name, d->name,
            socket == NULL ? "there is no socket" : "no service of ours listens",
            d->socket);
    }
    if (dom->nr_net > 0) {
        log_warn("%s: disk \"%s\"%s: this NBD export is not on a unix socket; if it is "
                 "Baton's, its owner does not follow the domain",
                 dom->name, dom->net, dom->nr_net > 1 ? " and others" : "");
    }
    for (unsigned i = 0; i < c->nr_sockets && dom->arguments != NULL; i++) {
        if (strstr(dom->arguments, c->sockets[i]) != NULL) {
            log_warn("%s: <qemu:commandline> names %s; the hook does not see which "
                     "disk that is, so it is not made usable here and its owner does "
                     "not follow the domain",
                     dom->name, c->sockets[i]);
        }
    }
    return 0;
}

int
hook_coming(const struct hook_config *c, const struct hook_domain *dom,
            uint64_t deadline_ns, struct err *e)
{
    struct answers a = {.sockets = json_object()};
    int rc =
        tell(c, dom, "vm.coming", coming_params(c, deadline_ns), deadline_ns, &a, e);

    if (rc == 0) {
        rc = check_rest(c, dom, &a, e);
    }
    json_decref(a.sockets);
    return rc;
}

static int
tell_only(const struct hook_config *c, const struct hook_domain *dom,
          const char *method, uint64_t deadline_ns, struct err *e)
{
    struct answers a = {.sockets = json_object()};
    int rc = tell(c, dom, method, json_object(), deadline_ns, &a, e);

    json_decref(a.sockets);
    return rc;
}

int
hook_migrating(const struct hook_config *c, const struct hook_domain *dom,
               uint64_t deadline_ns, struct err *e)
{
    return tell_only(c, dom, "vm.migrating", deadline_ns, e);
}

int
hook_restored(const struct hook_config *c, const struct hook_domain *dom,
              uint64_t deadline_ns, struct err *e)
{
    return tell_only(c, dom, "vm.restored", deadline_ns, e);
}

int
hook_gone(const struct hook_config *c, const struct hook_domain *dom,
          uint64_t deadline_ns, struct err *e)
{
    return tell_only(c, dom, "vm.gone", deadline_ns, e);
}
