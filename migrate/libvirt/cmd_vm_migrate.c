/* SPDX-License-Identifier: BSD-3-Clause */
/* baton vm migrate: the whole in one command. What it does itself is to look first and
 * to wait for the end: libvirt migrates, and the services move the ownership by the
 * hook, also when this command is gone. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli_options.h"
#include "cli_vm.h"
#include "clock.h"
#include "hook_domain.h"
#include "preflight.h"
#include "virt.h"

#define HELP                                                                           \
    "usage: baton vm migrate DOMAIN DEST-URI --to URI [--at URI] [--connect URI]\n"    \
    "           [--ignore-memory] [--json]\n"                                          \
    "  Migrates a running domain; the ownership of its disks follows.\n"               \
    "  DEST-URI       libvirt's URI of the other host, as this libvirtd reaches it\n"  \
    "  --to URI       the service of the other host\n"                                 \
    "  --at URI       the service of this host (default: as for baton status)\n"       \
    "  --connect URI  of libvirt here (default: libvirt's own)\n"                      \
    "  --ignore-memory  also when the other host has too little free memory\n"         \
    "  --json         the report as JSON on one line\n"                                \
    "  An interrupt (ctrl-C) aborts the migration.\n"
#define ATTACH_NS (20 * NS_PER_S)
#define FOLLOW_NS (60 * NS_PER_S)
#define LOOK_AGAIN_MS 50
#define COMMAND "vm migrate"

struct vm_order {
    const char *domain, *dest, *to, *at, *connect;
    bool is_json, is_running, is_memory_ignored;
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

/* Is it the one, and which disks of ours has it? */
static int
take_domain(void *opaque, const char *name, bool is_active, const char *xml)
{
    struct vm_order *o = opaque;
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

        if (disk != NULL) {
            (void)json_array_append(o->disks, json_object_get(disk, "name"));
        }
    }
    hook_domain_done(&dom);
    return 0;
}

/* Would the service at the other end be able to serve the disk, and is its device the
 * same? Being a client of ours costs it nothing if the migration fails. */
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
            json_pack("{s:s,s:s}", "disk", json_string_value(name), "owner", at->text),
            NULL, NULL, clock_deadline_ns(ATTACH_NS), e, NULL, &result);
        rpc_client_close(client);
        json_decref(result);
        if (rc < 0 && rc != -EEXIST) { /* or it owns the disk already */
            return err_prefix(e, rc, "%s", to->text);
        }
        rc = 0;
    }
    return rc;
}

/* Whatever can be told beforehand, cheapest first. */
static int
preflight(const struct vm_order *o, struct virt *v, const struct uri *at,
          const struct uri *to, struct err *e)
{
    json_t *there = NULL;
    int rc = vm_ask(to, NULL, e, &there);

    if (rc < 0) {
        return rc;
    }
    rc = preflight_versions(o->report, there, e);
    json_decref(there);
    if (rc == 0 && !o->is_memory_ignored) {
        rc = preflight_memory(v, o->domain, o->dest, e);
        if (rc < 0 && rc != -ENOMEM) {
            (void)cli_fail(0, COMMAND, "warning: free memory there is not known: %s",
                           err_text(e, rc));
            rc = 0;
        }
    }
    return rc < 0 ? rc : look_first(o, at, to, e);
}

/* Wait until the service at the other end owns all of them. *ret_report is its status,
 * or e says why there is none. */
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

        (void)poll(NULL, 0, LOOK_AGAIN_MS); /* services tell only when asked */
        json_decref(*ret_report);
        *ret_report = NULL;
        *e = (struct err){{0}};
        is_owner = vm_ask(to, NULL, e, ret_report) == 0;
        json_array_foreach(o->disks, i, name)
        {
            const json_t *disk = vm_find_disk(*ret_report, json_string_value(name));
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
        (void)printf("%s runs at %s and its disks are owned there; %ju ms, ownership "
                     "%ju ms after that\n",
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
                                             "service here says what is in the way");
}

static int
migrate(struct vm_order *o, const struct uri *at, const struct uri *to)
{
    struct sigaction sa = {.sa_handler = on_interrupt};
    uint64_t began_ns = clock_now_ns();
    struct virt *v = NULL;
    struct err e = {{0}};
    int rc = virt_open(o->connect, &e, &v);

    rc = rc < 0 ? rc : virt_each(v, take_domain, o, &e);
    if (rc == 0 && !o->is_running) {
        rc = err_set(&e, -ENOENT, "no domain %s runs here", o->domain);
    } else if (rc == 0 && json_array_size(o->disks) == 0) {
        rc = err_set(&e, -ENOENT,
                     "%s has no disk of the service here: virsh migrate "
                     "is enough",
                     o->domain);
    }
    rc = rc < 0 ? rc : preflight(o, v, at, to, &e);
    if (rc == 0) {
        (void)sigaction(SIGINT, &sa, NULL); /* a valid signal */
        rc = virt_migrate(v, o->domain, o->dest, on_tick, o, &e);
        if (isatty(STDERR_FILENO)) {
            (void)fputs("\r\033[K", stderr); /* the line of progress */
        }
    }
    virt_close(v);
    if (rc < 0) {
        return cli_refuse(rc, COMMAND, "%s; %s runs on where it was", err_text(&e, rc),
                          o->domain);
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
    here = vm_status(COMMAND, at.text, NULL, &status);
    if (here != NULL) {
        o->report = here;
        o->disks = json_array();
        status = migrate(o, &at, &to);
        json_decref(o->disks);
        json_decref(here);
    }
    return status;
}

int
vm_migrate(int argc, char **argv)
{
    struct vm_order o = {.domain = NULL};
    const struct cli_option options[] = {
        {"at", &o.at, NULL},
        {"to", &o.to, NULL},
        {"connect", &o.connect, NULL},
        {"json", NULL, &o.is_json},
        {"ignore-memory", NULL, &o.is_memory_ignored},
        {0},
    };
    int status;

    if (!cli_take_options(argc, argv, COMMAND, HELP, options, &status)) {
        return status;
    }
    if (argc - optind != 2 || o.to == NULL) {
        return cli_fail(CLI_USAGE, COMMAND, "DOMAIN, DEST-URI and --to URI expected");
    }
    o.domain = argv[optind];
    o.dest = argv[optind + 1];
    return run(&o);
}
