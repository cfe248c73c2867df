/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cli_options.h"
#include "cli_vm.h"
#include "clock.h"
#include "disk_xml.h"
#include "qemu_user.h"
#include "record.h"
#include "socket_path.h"
#include "virt.h"

#define HELP                                                                           \
    "usage: baton vm define-disk DISK [--at URI] [--socket PATH] [--target vda]\n"     \
    "           [--reconnect-delay SECONDS] [--apply DOMAIN [--connect URI]]\n"        \
    "       baton vm define-disk --emulator [--reconnect-delay SECONDS]\n"             \
    "  Prints the <disk> element of a domain for a disk of the service.\n"             \
    "  --at URI               the service (default: as for baton status)\n"            \
    "  --socket PATH          where it listens for VMs (default: its first unix "      \
    "socket)\n"                                                                        \
    "  --target DEV           the guest's device (vda)\n"                              \
    "  --reconnect-delay S    how long QEMU waits for a service that is away (60; "    \
    "0:\n"                                                                             \
    "                         not at all)\n"                                           \
    "  --apply DOMAIN         add it to the domain by libvirt instead\n"               \
    "  --connect URI          of libvirt (default: libvirt's own)\n"                   \
    "  --emulator             print a script to be the domain's <emulator>, for a\n"   \
    "                         libvirt that does not know <reconnect delay=>\n"
#define SCHEMA "/usr/share/libvirt/schemas/storagecommon.rng"
#define ANSWER_NS (10 * NS_PER_S)
#define DEFAULT_DELAY_S 60
#define MAX_DELAY_S 86400
#define COMMAND "vm define-disk"

struct define_order {
    const char *at, *socket, *target, *delay, *apply, *connect;
    bool is_emulator;
    unsigned delay_s;
};

int
vm_ask(const struct uri *u, const char *disk, struct err *e, json_t **ret_report)
{
    struct rpc_client *client;
    int rc = cli_reach(u, e, &client);

    if (rc == 0) {
        rc = rpc_call(client, "status", json_pack("{s:s*}", "disk", disk), NULL, NULL,
                      clock_deadline_ns(ANSWER_NS), e, NULL, ret_report);
        rpc_client_close(client);
    }
    return rc;
}

json_t *
vm_status(const char *command, const char *at, const char *disk, int *ret_status)
{
    json_t *report = NULL;
    struct err e = {{0}};
    struct uri u;
    int rc;

    *ret_status = cli_find_service(command, at, &u);
    if (*ret_status != CLI_DONE) {
        return NULL;
    }
    rc = vm_ask(&u, disk, &e, &report);
    if (rc < 0) {
        *ret_status = cli_refuse(rc, command, "%s", err_text(&e, rc));
        return NULL;
    }
    return report;
}

bool
vm_is_listener(const json_t *report, const char *socket)
{
    const json_t *uri;
    size_t i;

    json_array_foreach(json_object_get(report, "listen"), i, uri)
    {
        const char *text = json_string_value(uri);

        if (text != NULL && strncmp(text, "unix:", 5) == 0 &&
            socket_path_is_same(text + 5, socket)) {
            return true;
        }
    }
    return false;
}

/* The first unix socket that it listens at; NULL. */
static const char *
first_socket(const json_t *report)
{
    const json_t *uri;
    size_t i;

    json_array_foreach(json_object_get(report, "listen"), i, uri)
    {
        const char *text = json_string_value(uri);

        if (text != NULL && strncmp(text, "unix:", 5) == 0) {
            return text + 5;
        }
    }
    return NULL;
}

static int
apply(const struct define_order *o, const char *xml)
{
    struct virt *v = NULL;
    struct err e = {{0}};
    int rc = virt_open(o->connect, &e, &v);

    if (rc == 0) {
        rc = virt_attach(v, o->apply, xml, &e);
    }
    virt_close(v);
    if (rc < 0) {
        return cli_refuse(rc, COMMAND, "%s", err_text(&e, rc));
    }
    cli_note_change();
    (void)printf("%s has the disk as %s now\n", o->apply,
                 o->target != NULL ? o->target : "vda");
    return CLI_DONE;
}

/* Before a guest that does not start is the first to say so. */
static void
warn_of_socket(const char *socket)
{
    AUTO_FREE char *why = NULL;
    struct qemu_user u;

    if (qemu_user_find(QEMU_CONF, &u) == 0 &&
        qemu_user_may_connect(&u, socket, &why) == 0) {
        (void)cli_fail(0, COMMAND, "warning: %s", why);
    }
}

static int
define(const struct define_order *o, const char *disk, const json_t *report)
{
    const json_t *can_trim = json_object_get(vm_find_disk(report, disk), "can_trim");
    const struct disk_xml d = {
        .disk = disk,
        .socket = o->socket != NULL ? o->socket : first_socket(report),
        .target = o->target != NULL ? o->target : "vda",
        .reconnect_s = o->delay_s,
        .can_discard = !json_is_false(can_trim),
        .has_reconnect = disk_xml_schema_has_delay(SCHEMA),
    };
    AUTO_FREE char *xml = NULL;

    if (d.socket == NULL) {
        return cli_fail(CLI_REFUSED, COMMAND,
                        "the service listens at no unix socket; give --socket PATH");
    }
    xml = disk_xml_format(&d);
    if (xml == NULL) {
        return cli_fail(CLI_REFUSED, COMMAND, "out of memory");
    }
    if (d.reconnect_s > 0 && !d.has_reconnect) {
        (void)cli_fail(0, COMMAND,
                       "warning: the libvirt here does not know <reconnect delay=> of "
                       "an NBD disk, and would drop it without a word: a service that "
                       "is restarted is an I/O error to the guest. The way round is an "
                       "<emulator> as printed by: baton vm define-disk --emulator");
    }
    warn_of_socket(d.socket);
    if (o->apply != NULL) {
        return apply(o, xml);
    }
    (void)fputs(xml, stdout);
    return CLI_DONE;
}

static int
run(const struct define_order *o, const char *disk)
{
    json_t *report;
    int status;

    if (!name_is_valid(disk)) {
        return cli_fail(CLI_USAGE, COMMAND, "\"%.100s\" is no disk's name", disk);
    }
    if (o->socket != NULL && o->socket[0] != '/') {
        return cli_fail(CLI_USAGE, COMMAND,
                        "--socket %s: allowed: an "
                        "absolute path",
                        o->socket);
    }
    report = vm_status(COMMAND, o->at, disk, &status);
    if (report != NULL) {
        status = define(o, disk, report);
        json_decref(report);
    }
    return status;
}

int
vm_define_disk(int argc, char **argv)
{
    struct define_order o = {.delay_s = DEFAULT_DELAY_S};
    const struct cli_option options[] = {
        {"at", &o.at, NULL},
        {"socket", &o.socket, NULL},
        {"target", &o.target, NULL},
        {"reconnect-delay", &o.delay, NULL},
        {"apply", &o.apply, NULL},
        {"connect", &o.connect, NULL},
        {"emulator", NULL, &o.is_emulator},
        {0},
    };
    int status;

    if (!cli_take_options(argc, argv, COMMAND, HELP, options, &status)) {
        return status;
    }
    if (o.delay != NULL && !cli_take_number(COMMAND, "--reconnect-delay", o.delay, 0,
                                            MAX_DELAY_S, &o.delay_s)) {
        return CLI_USAGE;
    }
    if (argc - optind != (o.is_emulator ? 0 : 1)) {
        return cli_fail(CLI_USAGE, COMMAND, "%s",
                        o.is_emulator ? "--emulator takes no disk"
                                      : "one DISK expected");
    }
    if (o.is_emulator) {
        AUTO_FREE char *script = disk_xml_wrapper(o.delay_s);

        (void)fputs(script != NULL ? script : "", stdout);
        return script != NULL ? CLI_DONE : CLI_REFUSED;
    }
    return run(&o, argv[optind]);
}
