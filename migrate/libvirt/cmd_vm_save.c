/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_vm_save.c - baton vm save. libvirt saves the memory and ends the domain, then the
 * service parks its disks. libvirt's hook cannot tell a save from any other end of a
 * domain, so after a plain virsh save the disks stay owned. The way back is virsh start
 * or virsh restore: the hook has the service own the disks again. */
#include <errno.h>
#include <string.h>

#include "cli_options.h"
#include "cli_vm.h"
#include "clock.h"
#include "domain_disks.h"
#include "virt.h"
#include "vm_status.h"

#define PARK_NS (150 * NS_PER_S) /* all dirty caches are written back */
#define COMMAND "vm save"

struct save_order {
    const char *domain, *file, *at, *connect;
    bool is_json;
    const json_t *report; /* status of the service here */
    json_t *disks;        /* names of the domain's disks that it owns */
};

static int
park_one(const struct uri *at, const char *disk, struct err *e)
{
    json_t *result = NULL;
    int rc = cli_ask(at, "park", json_pack("{s:s}", "target", disk), PARK_NS, e, NULL,
                     &result);

    json_decref(result);
    return rc;
}

/* A disk that cannot be parked stays owned, and a sentence names it. */
static int
park(const struct save_order *o, const struct uri *at)
{
    const json_t *name;
    int status = CLI_DONE;
    size_t i;

    json_array_foreach(o->disks, i, name)
    {
        const char *disk = json_string_value(name);
        struct err e = {{0}};
        int rc = park_one(at, disk, &e);

        if (rc < 0) {
            status = cli_fail(CLI_COMMITTED, COMMAND,
                              "%s is saved, but its disk %s is not parked: %s; to park "
                              "it: baton park %s --at %s",
                              o->domain, disk, err_text(&e, rc), disk, at->text);
        }
    }
    return status;
}

static int
save_domain(struct save_order *o, struct virt *v, struct err *e)
{
    int rc = domain_disks_find(v, o->domain, o->report, "owner", e, &o->disks);

    if (rc < 0) {
        return rc;
    }
    if (json_array_size(o->disks) == 0) {
        return err_set(e, -ENOENT,
                       "%s has no disk that the service here owns: virsh save is "
                       "enough",
                       o->domain);
    }
    return virt_save(v, o->domain, o->file, e);
}

static int
save(struct save_order *o, const struct uri *at)
{
    struct virt *v = NULL;
    struct err e = {{0}};
    int status, rc = virt_open(o->connect, &e, &v);

    if (rc == 0) {
        rc = save_domain(o, v, &e);
    }
    virt_close(v);
    if (rc < 0) {
        return cli_refuse(rc, COMMAND, "%s; nothing was saved or parked",
                          err_text(&e, rc));
    }
    cli_note_change();
    status = park(o, at);
    if (status != CLI_DONE) {
        return status;
    }
    if (o->is_json) {
        json_t *out = json_pack("{s:s,s:s,s:O}", "domain", o->domain, "outcome",
                                "parked", "disks", o->disks);

        cli_print_json(out);
        json_decref(out);
    } else {
        (void)printf("%s is saved and its disks are parked\n", o->domain);
    }
    return CLI_DONE;
}

static int
run(struct save_order *o)
{
    struct uri at;
    json_t *here;
    int status = cli_find_service(COMMAND, o->at, &at);

    if (status != CLI_DONE) {
        return status;
    }
    here = vm_status_get(COMMAND, at.text, NULL, &status);
    if (here != NULL) {
        o->report = here;
        status = save(o, &at);
        json_decref(o->disks);
        json_decref(here);
    }
    return status;
}

int
cmd_vm_save(int argc, char **argv)
{
    static const struct cli_usage usage = {
        COMMAND,
        "usage: baton vm save DOMAIN [FILE] [--at URI] [--connect URI] [--json]\n"
        "  Saves a running domain and parks its disks, so that their devices are "
        "closed.\n"
        "  FILE           as of virsh save (default: as virsh managedsave)\n",
        "  virsh restore FILE, or virsh start DOMAIN, bring it back.\n", 13};
    struct save_order o = {.domain = NULL};
    const struct cli_option options[] = {
        {"at", "URI", "the service of this host (default: as for baton status)",
         .text = &o.at},
        {"connect", "URI", "libvirt's URI here (default: libvirt's own choice)",
         .text = &o.connect},
        {"json", NULL, "the report as JSON on one line", .flag = &o.is_json},
        {0},
    };
    int status;

    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (argc - optind < 1 || argc - optind > 2) {
        return cli_fail(CLI_USAGE, COMMAND, "DOMAIN [FILE] is expected");
    }
    o.domain = argv[optind];
    o.file = argc - optind == 2 ? argv[optind + 1] : NULL;
    return run(&o);
}
