/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_vm_migrate.c - baton vm migrate. The command itself only checks before and waits
 * for the end: libvirt migrates the domain, and the services move the ownership when
 * the hook tells them, even if this command is gone. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli_options.h"
#include "cli_vm.h"
#include "clock.h"
#include "domain_disks.h"
#include "preflight.h"
#include "virt.h"
#include "vm_status.h"

#define ATTACH_NS (60 * NS_PER_S) /* it asks several times, each time by a new ssh */
#define MARGIN_NS (5 * NS_PER_S)
#define FOLLOW_NS (60 * NS_PER_S)
#define LOOK_AGAIN_MS 50
#define COMMAND "vm migrate"

struct vm_order {
    const char *domain, *dest, *to, *at, *connect;
    bool is_json, is_memory_ignored;
    const json_t *report; /* status of the service here */
    json_t *disks;        /* names of the domain's disks that it serves */
};

static volatile sig_atomic_t is_interrupted;

static void
on_interrupt(int sig)
{
    (void)sig;
    is_interrupted = 1;
}

static bool
on_tick(void *opaque, unsigned long long bytes_left)
{
    const struct vm_order *o = opaque;

    if (isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "\r%s: %llu MiB left  ", o->domain,
                      bytes_left / (1024 * 1024));
    }
    return is_interrupted != 0;
}

/* Can the other host's service serve each disk, and has it the same device? attach
 * finds out. That makes the service a client of ours, which does no harm if the
 * migration fails. */
static int
look_first(const struct vm_order *o, const struct uri *at, const struct uri *to,
           struct err *e)
{
    const json_t *name;
    int rc = 0;
    size_t i;

    json_array_foreach(o->disks, i, name)
    {
        struct rpc_client *client;
        json_t *result = NULL;

        rc = cli_reach(to, e, &client);
        if (rc < 0) {
            return rc;
        }
        rc = rpc_call(
            client, "attach",
            json_pack("{s:s,s:s,s:I}", "disk", json_string_value(name), "owner",
                      at->text, "deadline_ms", (json_int_t)(ATTACH_NS / NS_PER_MS)),
            NULL, NULL, clock_deadline_ns(ATTACH_NS + MARGIN_NS), e, NULL, &result);
        rpc_client_close(client);
        json_decref(result);
        if (rc < 0 && rc != -EEXIST) { /* -EEXIST: it owns the disk already */
            return err_prefix(e, rc, "%s", to->text);
        }
        rc = 0;
    }
    return rc;
}

/* Check all that can be checked before, the cheapest first. */
static int
preflight(const struct vm_order *o, struct virt *v, const struct uri *at,
          const struct uri *to, struct err *e)
{
    json_t *there = NULL;
    int rc = vm_status_ask(to, NULL, e, &there);

    if (rc < 0) {
        return rc;
    }
    rc = preflight_versions(o->report, there, e);
    json_decref(there);
    if (rc == 0 && !o->is_memory_ignored) {
        rc = preflight_memory(v, o->domain, o->dest, e);
        if (rc < 0 && rc != -ENOMEM) {
            (void)cli_fail(
                0, COMMAND,
                "warning: the free memory of the other host is not known: %s",
                err_text(e, rc));
            rc = 0;
        }
    }
    return rc < 0 ? rc : look_first(o, at, to, e);
}

/* Wait until the other host's service owns all of o's disks. Did that happen?
 * *ret_report is its status, or NULL, and then e says why there is none. */
static bool
await_owner(const struct vm_order *o, const struct uri *to, struct err *e,
            json_t **ret_report)
{
    const uint64_t deadline_ns = clock_deadline_ns(FOLLOW_NS);
    bool is_owner = false;

    *ret_report = NULL;
    while (!is_owner && clock_now_ns() < deadline_ns && is_interrupted == 0) {
        const json_t *name;
        size_t i;

        (void)poll(NULL, 0, LOOK_AGAIN_MS); /* a service sends no event */
        json_decref(*ret_report);
        *ret_report = NULL;
        *e = (struct err){{0}};
        is_owner = vm_status_ask(to, NULL, e, ret_report) == 0;
        json_array_foreach(o->disks, i, name)
        {
            const json_t *disk =
                vm_status_find_disk(*ret_report, json_string_value(name));
            const char *role = json_string_value(json_object_get(disk, "role"));

            is_owner = is_owner && role != NULL && strcmp(role, "owner") == 0;
        }
    }
    return is_owner;
}

static int
report(const struct vm_order *o, const struct uri *to, uint64_t began_ns,
       uint64_t moved_ns)
{
    struct err e = {{0}};
    json_t *there = NULL, *out;
    bool is_owner = await_owner(o, to, &e, &there);
    const uint64_t end_ns = clock_now_ns();

    out = json_pack("{s:s,s:s,s:O*,s:s,s:O,s:I,s:I}", "domain", o->domain, "to",
                    o->dest, "service", json_object_get(there, "service"), "outcome",
                    is_owner ? "done" : "migrated", "disks", o->disks, "migration_ms",
                    (json_int_t)((moved_ns - began_ns) / NS_PER_MS), "total_ms",
                    (json_int_t)((end_ns - began_ns) / NS_PER_MS));
    if (o->is_json) {
        cli_print_json(out);
    } else if (is_owner) {
        (void)printf("%s runs at %s and its disks are owned there; it was migrated in "
                     "%ju ms, and ownership followed %ju ms later\n",
                     o->domain, o->dest, (uintmax_t)((moved_ns - began_ns) / NS_PER_MS),
                     (uintmax_t)((end_ns - moved_ns) / NS_PER_MS));
    }
    json_decref(out);
    json_decref(there);
    return is_owner
               ? CLI_DONE
               : cli_fail(CLI_COMMITTED, COMMAND,
                          "%s runs at %s, but its disks are not owned there yet: %s",
                          o->domain, o->dest,
                          e.msg[0] != '\0' ? e.msg
                                           : "is the hook installed? the log of the "
                                             "service here says why they are not");
}

/* Look at everything first, then have libvirt migrate the domain. */
static int
move_domain(struct vm_order *o, struct virt *v, const struct uri *at,
            const struct uri *to, struct err *e)
{
    struct sigaction sa = {.sa_handler = on_interrupt};
    int rc = domain_disks_find(v, o->domain, o->report, NULL, e, &o->disks);

    if (rc < 0) {
        return rc;
    }
    if (json_array_size(o->disks) == 0) {
        return err_set(e, -ENOENT,
                       "%s has no disk of the service here: virsh migrate is enough",
                       o->domain);
    }
    rc = preflight(o, v, at, to, e);
    if (rc < 0) {
        return rc;
    }
    (void)sigaction(SIGINT, &sa, NULL); /* a valid signal */
    rc = virt_migrate(v, o->domain, o->dest, on_tick, o, e);
    if (isatty(STDERR_FILENO)) {
        (void)fputs("\r\033[K", stderr); /* the line of progress */
    }
    return rc;
}

static int
migrate(struct vm_order *o, const struct uri *at, const struct uri *to)
{
    const uint64_t began_ns = clock_now_ns();
    struct virt *v = NULL;
    struct err e = {{0}};
    int rc = virt_open(o->connect, &e, &v);

    if (rc == 0) {
        rc = move_domain(o, v, at, to, &e);
    }
    virt_close(v);
    if (rc < 0) {
        return cli_refuse(rc, COMMAND, "%s; %s still runs where it was",
                          err_text(&e, rc), o->domain);
    }
    cli_note_change();
    return report(o, to, began_ns, clock_now_ns());
}

static int
run(struct vm_order *o)
{
    struct uri at, to;
    struct err e = {{0}};
    json_t *here;
    int status = cli_find_service(COMMAND, o->at, &at);

    if (status != CLI_DONE) {
        return status;
    }
    if (uri_parse(o->to, URI_FOR_CONTROL, &e, &to) < 0) {
        return cli_fail(CLI_USAGE, COMMAND, "--to: %s", e.msg);
    }
    here = vm_status_get(COMMAND, at.text, NULL, &status);
    if (here != NULL) {
        o->report = here;
        status = migrate(o, &at, &to);
        json_decref(o->disks);
        json_decref(here);
    }
    return status;
}

int
cmd_vm_migrate(int argc, char **argv)
{
    static const struct cli_usage usage = {
        COMMAND,
        "usage: baton vm migrate DOMAIN DEST-URI --to URI [--at URI] [--connect URI]\n"
        "           [--ignore-memory] [--json]\n"
        "  Migrates a running domain; the ownership of its disks follows.\n"
        "  DEST-URI       libvirt's URI of the other host, as this libvirtd reaches "
        "it\n",
        "  An interrupt (ctrl-C) aborts the migration.\n", 13};
    struct vm_order o = {.domain = NULL};
    const struct cli_option options[] = {
        {"to", "URI", "the service of the other host", .text = &o.to},
        {"at", "URI", "the service of this host (default: as for baton status)",
         .text = &o.at},
        {"connect", "URI", "libvirt's URI here (default: libvirt's own choice)",
         .text = &o.connect},
        {"ignore-memory", NULL,
         "migrate even if the other host has too little free memory",
         .flag = &o.is_memory_ignored},
        {"json", NULL, "the report as JSON on one line", .flag = &o.is_json},
        {0},
    };
    int status;

    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (argc - optind != 2 || o.to == NULL) {
        return cli_fail(CLI_USAGE, COMMAND,
                        "DOMAIN, DEST-URI and --to URI are expected");
    }
    o.domain = argv[optind];
    o.dest = argv[optind + 1];
    return run(&o);
}
