/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_vm_list.c - baton vm list: the domains of this host that have disks of a service.
 */
#include <errno.h>
#include <string.h>

#include "cli_options.h"
#include "cli_vm.h"
#include "hook_domain.h"
#include "virt.h"
#include "vm_status.h"

#define COMMAND "vm list"

struct list {
    const json_t *report; /* status of the service */
    json_t *rows;         /* [{domain, running, disk, role, owner, epoch}] */
};

static int
add_domain(void *opaque, const char *name, bool is_active, const char *xml)
{
    struct list *l = opaque;
    struct hook_domain dom;

    if (hook_domain_parse(xml, strlen(xml), NULL, &dom) < 0) {
        return 0; /* it has more disks than a host can have */
    }
    for (unsigned i = 0; i < dom.nr; i++) {
        const json_t *disk = vm_status_is_listener(l->report, dom.disks[i].socket)
                                 ? vm_status_find_disk(l->report, dom.disks[i].name)
                                 : NULL;

        if (disk != NULL) {
            (void)json_array_append_new(
                l->rows,
                json_pack("{s:s,s:b,s:O,s:O,s:O,s:O}", "domain", name, "running",
                          is_active, "disk", json_object_get(disk, "name"), "role",
                          json_object_get(disk, "role"), "owner",
                          json_object_get(disk, "owner"), "epoch",
                          json_object_get(disk, "epoch")));
        }
    }
    hook_domain_done(&dom);
    return 0;
}

static void
print_rows(const json_t *rows)
{
    const json_t *row;
    size_t i;

    (void)printf("%-20s %-8s %-20s %-8s %-20s %s\n", "DOMAIN", "STATE", "DISK", "ROLE",
                 "OWNER", "EPOCH");
    json_array_foreach(rows, i, row)
    {
        char domain[128], disk[96], role[24], owner[96], epoch[24];

        (void)printf("%-20s %-8s %-20s %-8s %-20s %s\n",
                     cli_text(row, "domain", domain, sizeof domain),
                     json_is_true(json_object_get(row, "running")) ? "running" : "off",
                     cli_text(row, "disk", disk, sizeof disk),
                     cli_text(row, "role", role, sizeof role),
                     cli_text(row, "owner", owner, sizeof owner),
                     cli_text(row, "epoch", epoch, sizeof epoch));
    }
}

static int
list(const char *connect, const json_t *report, bool is_json)
{
    struct list l = {.report = report, .rows = json_array()};
    struct virt *v = NULL;
    struct err e = {{0}};
    int status = CLI_DONE, rc = virt_open(connect, &e, &v);

    if (rc == 0) {
        rc = virt_each(v, add_domain, &l, &e);
    }
    virt_close(v);
    if (rc < 0) {
        status = cli_refuse(rc, COMMAND, "%s", err_text(&e, rc));
    } else if (is_json) {
        json_t *o = json_pack("{s:O,s:O}", "service",
                              json_object_get(report, "service"), "domains", l.rows);

        cli_print_json(o);
        json_decref(o);
    } else {
        print_rows(l.rows);
    }
    json_decref(l.rows);
    return status;
}

int
cmd_vm_list(int argc, char **argv)
{
    static const struct cli_usage usage = {
        COMMAND,
        "usage: baton vm list [--at URI] [--connect URI] [--json]\n"
        "  The domains of this host that have disks of the service, and who owns "
        "them.\n",
        NULL, 13};
    const char *at = NULL, *connect = NULL;
    bool is_json = false;
    const struct cli_option options[] = {
        {"at", "URI", "the service (default: as for baton status)", .text = &at},
        {"connect", "URI", "libvirt's URI (default: libvirt's own choice)",
         .text = &connect},
        {"json", NULL, "the result as JSON on one line", .flag = &is_json},
        {0},
    };
    json_t *report;
    int status;

    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (optind != argc) {
        return cli_fail(CLI_USAGE, COMMAND, "no argument is expected besides options");
    }
    report = vm_status_get(COMMAND, at, NULL, &status);
    if (report != NULL) {
        status = list(connect, report, is_json);
        json_decref(report);
    }
    return status;
}
