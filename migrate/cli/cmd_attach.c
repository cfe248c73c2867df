/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_attach.c - makes a service a client of a disk that another service owns. */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "cli_options.h"
#include "clock.h"
#include "config.h"
#include "uri.h"

#define DEFAULT_DEADLINE_NS (10 * NS_PER_S)
#define MAX_DEADLINE_NS (600 * NS_PER_S)
#define MARGIN_NS (5 * NS_PER_S) /* so that the service gives up before this does */

struct attach_order {
    const char *disk, *at, *owner, *deadline;
    struct uri service;
    uint64_t deadline_ns;
    bool is_json;
};

static int
run(const struct attach_order *o)
{
    json_t *params = json_pack("{s:s,s:s*,s:I}", "disk", o->disk, "owner", o->owner,
                               "deadline_ms", (json_int_t)(o->deadline_ns / NS_PER_MS));
    json_t *result = NULL;
    struct err e = {{0}};
    int rc = cli_ask(&o->service, "attach", params, o->deadline_ns + MARGIN_NS, &e,
                     NULL, &result);

    if (rc < 0) {
        return cli_refuse(rc, "attach", "%s", err_text(&e, rc));
    }
    cli_note_change();
    if (o->is_json) {
        cli_print_json(result);
    } else {
        char owner[96], epoch[24];

        (void)printf("the service is now a client of %s, which owns %s at epoch %s\n",
                     cli_text(result, "owner", owner, sizeof owner), o->disk,
                     cli_text(result, "epoch", epoch, sizeof epoch));
    }
    json_decref(result);
    return CLI_DONE;
}

static int
check(struct attach_order *o)
{
    struct err e = {{0}};
    struct uri u;

    if (!name_is_valid(o->disk)) {
        return cli_fail(CLI_USAGE, "attach", "\"%.100s\" is not the name of a disk",
                        o->disk);
    }
    if (o->owner != NULL && uri_parse(o->owner, URI_FOR_CONTROL, &e, &u) < 0) {
        return cli_fail(CLI_USAGE, "attach", "--owner: %s", e.msg);
    }
    if (o->deadline != NULL &&
        config_parse_duration(o->deadline, &e, &o->deadline_ns) < 0) {
        return cli_fail(CLI_USAGE, "attach", "--deadline: %s", e.msg);
    }
    if (o->deadline_ns < NS_PER_MS || o->deadline_ns > MAX_DEADLINE_NS) {
        return cli_fail(CLI_USAGE, "attach", "--deadline: allowed: 1ms to 600s");
    }
    return cli_find_service("attach", o->at, &o->service);
}

int
cmd_attach(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "attach",
        "usage: baton attach DISK --at URI [--owner URI] [--deadline 10s] [--json]\n",
        NULL, 15};
    struct attach_order o = {.deadline_ns = DEFAULT_DEADLINE_NS};
    const struct cli_option options[] = {
        {"at", "URI", "the service that is to be a client of the disk's owner",
         .text = &o.at},
        {"owner", "URI",
         "a service that owns the disk, or knows which one does\n"
         "(default: the service's peers)",
         .text = &o.owner},
        {"deadline", "TIME", "give up after this time", .text = &o.deadline},
        {"json", NULL, "the result as JSON on one line", .flag = &o.is_json},
        {0},
    };
    int status;

    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (argc - optind != 1) {
        return cli_fail(CLI_USAGE, "attach", "%s; usage: baton attach DISK --at URI",
                        optind == argc ? "DISK is missing" : "more than one DISK");
    }
    o.disk = argv[optind];
    status = check(&o);
    return status == CLI_DONE ? run(&o) : status;
}
