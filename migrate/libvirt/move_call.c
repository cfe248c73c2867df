/* SPDX-License-Identifier: BSD-3-Clause */
#include "move_call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "clock.h"
#include "rpc.h"

#define ANSWER_NS (10 * NS_PER_S)
/* A service answers a handoff or a park when it is done or has given up, or some
 * seconds later, saying that it goes on. If no answer comes for this time, nobody is
 * there. */
#define PATIENCE_NS (60 * NS_PER_S)

static int
ask(const struct uri *at, const char *method, json_t *params, uint64_t len_ns,
    struct err *e, bool *ret_is_refused, json_t **ret_result)
{
    int code = 0, rc = cli_ask(at, method, params, len_ns, e, &code, ret_result);

    *ret_is_refused = rc < 0 && code != 0 && code != RPC_COMMITTED;
    return rc;
}

static void
take_text(const json_t *o, const char *key, char *buf, size_t size)
{
    const char *text = json_string_value(json_object_get(o, key));

    (void)snprintf(buf, size, "%s", text != NULL ? text : "");
}

int
move_ask(const struct uri *at, const char *disk, struct err *e,
         struct move_side *ret_side)
{
    json_t *report = NULL;
    const json_t *its;
    bool is_refused;
    int rc = ask(at, "status", json_pack("{s:s}", "disk", disk), ANSWER_NS, e,
                 &is_refused, &report);

    if (rc < 0) {
        return err_prefix(e, rc, "%s", at->text);
    }
    its = json_array_get(json_object_get(report, "disks"), 0);
    take_text(report, "service", ret_side->service, sizeof ret_side->service);
    take_text(its, "role", ret_side->role, sizeof ret_side->role);
    take_text(its, "owner", ret_side->owner, sizeof ret_side->owner);
    json_decref(report);
    return 0;
}

int
move_park(const struct move_order *o, struct err *e, bool *ret_is_refused,
          json_t **ret_report)
{
    return ask(&o->from, "park",
               json_pack("{s:s,s:I}", "target", o->disk, "deadline_ms",
                         (json_int_t)(o->deadline_len_ns / NS_PER_MS)),
               o->deadline_len_ns + PATIENCE_NS, e, ret_is_refused, ret_report);
}

int
move_unpark(const struct move_order *o, struct err *e, bool *ret_is_refused,
            json_t **ret_report)
{
    return ask(&o->from, "unpark", json_pack("{s:s}", "target", o->disk), PATIENCE_NS,
               e, ret_is_refused, ret_report);
}

int
move_handoff(const struct move_order *o, struct err *e, bool *ret_is_refused,
             json_t **ret_report)
{
    return ask(&o->from, "handoff",
               json_pack("{s:s,s:s,s:I}", "target", o->disk, "to", o->to_inside,
                         "deadline_ms", (json_int_t)(o->deadline_len_ns / NS_PER_MS)),
               o->deadline_len_ns + o->plug_len_ns + PATIENCE_NS, e, ret_is_refused,
               ret_report);
}

uint64_t
move_held_since(const json_t *report)
{
    static const char *const keys[] = {"hold_us", "drain_us", "flush_us", "eject_us"};
    const json_t *phases = json_object_get(report, "phases");
    uint64_t us = 0;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        us += cli_number(phases, keys[i]);
    }
    return clock_now_ns() - us * NS_PER_US;
}
