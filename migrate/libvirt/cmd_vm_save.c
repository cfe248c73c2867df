/* SPDX-License-Identifier: BSD-3-Clause */
/* baton vm save: libvirt saves the memory and ends the domain, then the service parks
 * its disks. libvirt's hooks do not tell a save from any other end of a domain, so a
 * plain virsh save leaves them owned. The way back is virsh start or virsh restore: the
 * hook has the service own them again. */
#include <errno.h>
#include <string.h>

#include "cli_options.h"
#include "cli_vm.h"
#include "clock.h"
#include "hook_domain.h"
#include "virt.h"

#define HELP                                                                           \
    "usage: baton vm save DOMAIN [FILE] [--at URI] [--connect URI] [--json]\n"         \
    "  Saves a running domain and parks its disks: nothing of it is in the devices.\n" \
    "  FILE           as of virsh save (default: as virsh managedsave)\n"              \
    "  --at URI       the service of this host (default: as for baton status)\n"       \
    "  --connect URI  of libvirt here (default: libvirt's own)\n"                      \
    "  --json         the report as JSON on one line\n"                                \
    "  virsh restore FILE, or virsh start DOMAIN, bring it back.\n"
#define PARK_NS (150 * NS_PER_S) /* all that the caches hold is written back */
#define COMMAND "vm save"

struct save_order {
    const char *domain, *file, *at, *connect;
    bool is_json, is_running;
    const json_t *report; /* status of the service here */
    json_t *disks;        /* names of the domain's disks that it owns */
};

static int
take_domain(void *opaque, const char *name, bool is_active, const char *xml)
{
    struct save_order *o = opaque;
    struct hook_domain dom;

    if (strcmp(name, o->domain) != 0 ||
        hook_domain_parse(xml, strlen(xml), NULL, &dom) < 0) {
        return 0;
    }
    o->is_running = is_active;
    for (unsigned i = 0; i < dom.nr; i++) {
        const json_t *disk = !dom.disks[i].is_backing && /* others may use it, too */
                                     vm_is_listener(o->report, dom.disks[i].socket)
                                 ? vm_find_disk(o->report, dom.disks[i].name)
                                 : NULL;
        const char *role = json_string_value(json_object_get(disk, "role"));

        if (role != NULL && strcmp(role, "owner") == 0) {
            (void)json_array_append(o->disks, json_object_get(disk, "name"));
        }
    }
    hook_domain_done(&dom);
    return 0;
}

static int
park_one(const struct uri *at, const char *disk, struct err *e)
{
    struct rpc_client *client;
    json_t *result = NULL;
    int rc = cli_reach(at, e, &client);

    if (rc < 0) {
        return rc;
    }
    rc = rpc_call(client, "park", json_pack("{s:s}", "target", disk), NULL, NULL,
                  clock_deadline_ns(PARK_NS), e, NULL, &result);
    rpc_client_close(client);
    json_decref(result);
    return rc;
}

/* What is not parked stays owned, and is said. */
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
                              "%s is saved, but its disk %s is not parked: %s; baton "
                              "park %s --at %s",
                              o->domain, disk, err_text(&e, rc), disk, at->text);
        }
    }
    return status;
}

static int
save(struct save_order *o, const struct uri *at)
{
    struct virt *v = NULL;
    struct err e = {{0}};
    int status, rc = virt_open(o->connect, &e, &v);

    rc = rc < 0 ? rc : virt_each(v, take_domain, o, &e);
    if (rc == 0 && !o->is_running) {
        rc = err_set(&e, -ENOENT, "no domain %s runs here", o->domain);
    } else if (rc == 0 && json_array_size(o->disks) == 0) {
        rc = err_set(&e, -ENOENT,
                     "%s has no disk that the service here owns: virsh save is enough",
                     o->domain);
    }
    rc = rc < 0 ? rc : virt_save(v, o->domain, o->file, &e);
    virt_close(v);
    if (rc < 0) {
        return cli_refuse(rc, COMMAND, "%s; nothing was saved or parked",
                          err_text(&e, rc));
    }
    cli_note_change();
    status = park(o, at);
    if (status == CLI_DONE && o->is_json) {
        json_t *out = json_pack("{s:s,s:s,s:O}", "domain", o->domain, "outcome",
                                "parked", "disks", o->disks);

        cli_print_json(out);
        json_decref(out);
    } else if (status == CLI_DONE) {
        (void)printf("%s is saved and its disks are parked\n", o->domain);
    }
    return status;
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
    here = vm_status(COMMAND, at.text, NULL, &status);
    if (here != NULL) {
        o->report = here;
        o->disks = json_array();
        status = save(o, &at);
        json_decref(o->disks);
        json_decref(here);
    }
    return status;
}

int
vm_save(int argc, char **argv)
{
    struct save_order o = {.domain = NULL};
    const struct cli_option options[] = {
        {"at", &o.at, NULL},
        {"connect", &o.connect, NULL},
        {"json", NULL, &o.is_json},
        {0},
    };
    int status;

    if (!cli_take_options(argc, argv, COMMAND, HELP, options, &status)) {
        return status;
    }
    if (argc - optind < 1 || argc - optind > 2) {
        return cli_fail(CLI_USAGE, COMMAND, "DOMAIN and perhaps FILE expected");
    }
    o.domain = argv[optind];
    o.file = argc - optind == 2 ? argv[optind + 1] : NULL;
    return run(&o);
}
