/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_vm_define.c - baton vm define-disk: prints the <disk> element of a domain for a
 * disk of a service, or adds it to a domain. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cli_options.h"
#include "cli_vm.h"
#include "disk_xml.h"
#include "name.h"
#include "qemu_user.h"
#include "virt.h"
#include "vm_status.h"

#define SCHEMA "/usr/share/libvirt/schemas/storagecommon.rng"
#define DEFAULT_DELAY_S 60
#define MAX_DELAY_S 86400
#define COMMAND "vm define-disk"

struct define_order {
    const char *at, *socket, *target, *delay, *apply, *connect;
    bool is_emulator;
    unsigned delay_s;
};

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

/* Say now what would otherwise show when a guest does not start. */
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
    const json_t *can_trim =
        json_object_get(vm_status_find_disk(report, disk), "can_trim");
    const struct disk_xml d = {
        .disk = disk,
        .socket = o->socket != NULL ? o->socket : vm_status_first_socket(report),
        .target = o->target != NULL ? o->target : "vda",
        .reconnect_s = o->delay_s,
        .can_discard = !json_is_false(can_trim),
        .has_reconnect = disk_xml_schema_has_delay(SCHEMA),
    };
    AUTO_FREE char *xml = NULL;

    if (d.socket == NULL) {
        return cli_fail(CLI_REFUSED, COMMAND,
                        "the service listens on no unix socket; give --socket PATH");
    }
    xml = disk_xml_format(&d);
    if (xml == NULL) {
        return cli_fail(CLI_REFUSED, COMMAND, "out of memory");
    }
    if (d.reconnect_s > 0 && !d.has_reconnect) {
        (void)cli_fail(
            0, COMMAND,
            "warning: the libvirt here does not know <reconnect delay=> of an NBD disk "
            "and would drop it silently, so that the guest gets I/O errors while the "
            "service restarts. Way round: as the domain's <emulator>, the script that "
            "baton vm define-disk --emulator prints");
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
        return cli_fail(CLI_USAGE, COMMAND, "\"%.100s\" is not the name of a disk",
                        disk);
    }
    if (o->socket != NULL && o->socket[0] != '/') {
        return cli_fail(CLI_USAGE, COMMAND, "--socket %s: allowed: an absolute path",
                        o->socket);
    }
    report = vm_status_get(COMMAND, o->at, disk, &status);
    if (report != NULL) {
        status = define(o, disk, report);
        json_decref(report);
    }
    return status;
}

int
cmd_vm_define(int argc, char **argv)
{
    static const struct cli_usage usage = {
        COMMAND,
        "usage: baton vm define-disk DISK [--at URI] [--socket PATH] [--target vda]\n"
        "           [--reconnect-delay SECONDS] [--apply DOMAIN [--connect URI]]\n"
        "       baton vm define-disk --emulator [--reconnect-delay SECONDS]\n"
        "  Prints the <disk> element of a domain for a disk of the service.\n",
        NULL, 21};
    struct define_order o = {.delay_s = DEFAULT_DELAY_S};
    const struct cli_option options[] = {
        {"at", "URI", "the service (default: as for baton status)", .text = &o.at},
        {"socket", "PATH",
         "the service's socket for VMs (default: its first unix socket)",
         .text = &o.socket},
        {"target", "DEV", "the guest's device (default: vda)", .text = &o.target},
        {"reconnect-delay", "S",
         "how long QEMU waits for a service that is away (default:\n"
         "60; 0: not at all)",
         .text = &o.delay},
        {"apply", "DOMAIN", "have libvirt add the disk to this domain instead",
         .text = &o.apply},
        {"connect", "URI", "libvirt's URI (default: libvirt's own choice)",
         .text = &o.connect},
        {"emulator", NULL,
         "print a script to be the domain's <emulator>, for a\n"
         "libvirt that does not know <reconnect delay=>",
         .flag = &o.is_emulator},
        {0},
    };
    int status;

    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (o.delay != NULL && !cli_take_number(COMMAND, "--reconnect-delay", o.delay, 0,
                                            MAX_DELAY_S, &o.delay_s)) {
        return CLI_USAGE;
    }
    if (argc - optind != (o.is_emulator ? 0 : 1)) {
        return cli_fail(CLI_USAGE, COMMAND, "%s",
                        o.is_emulator ? "--emulator takes no disk"
                                      : "one DISK is expected");
    }
    if (o.is_emulator) {
        AUTO_FREE char *script = disk_xml_wrapper(o.delay_s);

        (void)fputs(script != NULL ? script : "", stdout);
        return script != NULL ? CLI_DONE : CLI_REFUSED;
    }
    return run(&o, argv[optind]);
}
