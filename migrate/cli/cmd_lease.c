/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_lease.c - shows which VMs may write to a disk, and with --release takes a
 * person's word that none of them runs any more. */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "cli_options.h"
#include "clock.h"
#include "name.h"
#include "uri.h"

#define ANSWER_NS (10 * NS_PER_S)

static void
print(const json_t *result, const char *disk)
{
    const json_t *list = json_object_get(result, "leases"), *item;
    size_t i;

    if (json_array_size(list) == 0) {
        (void)printf("no VM has a lease of %s\n", disk);
    }
    json_array_foreach(list, i, item)
    {
        char vm[160], service[96], uuid[64];

        (void)printf("%s %s at %s%s%s\n", cli_text(item, "vm", vm, sizeof vm),
                     cli_text(item, "vm_uuid", uuid, sizeof uuid),
                     cli_text(item, "service", service, sizeof service),
                     json_is_true(json_object_get(item, "shared")) ? ", shares it" : "",
                     json_is_true(json_object_get(result, "released")) ? ": released"
                                                                       : "");
    }
}

int
cmd_lease(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "lease",
        "usage: baton lease DISK [--at URI] [--release] [--json]\n"
        "  Says which VMs the disk's owner lets write to it.\n",
        NULL, 9};
    const char *at = NULL;
    bool is_json = false, is_release = false;
    const struct cli_option options[] = {
        {"at", "URI", "the service that owns the disk (default: as for baton status)",
         .text = &at},
        {"release", NULL,
         "end these leases, so that the next VM is let in; only if\n"
         "none of the VMs that are named runs any more",
         .flag = &is_release},
        {"json", NULL, "the result as JSON on one line", .flag = &is_json},
        {0},
    };
    json_t *result = NULL;
    struct err e = {{0}};
    struct uri u;
    int status, rc;

    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (argc - optind != 1 || !name_is_valid(argv[optind])) {
        return cli_fail(CLI_USAGE, "lease", "one DISK is expected");
    }
    status = cli_find_service("lease", at, &u);
    if (status != CLI_DONE) {
        return status;
    }
    rc = cli_ask(&u, "lease",
                 json_pack("{s:s,s:b}", "target", argv[optind], "release", is_release),
                 ANSWER_NS, &e, NULL, &result);
    if (rc < 0) {
        return cli_refuse(rc, "lease", "%s", err_text(&e, rc));
    }
    if (is_release) {
        cli_note_change();
    }
    if (is_json) {
        cli_print_json(result);
    } else {
        print(result, argv[optind]);
    }
    json_decref(result);
    return CLI_DONE;
}
