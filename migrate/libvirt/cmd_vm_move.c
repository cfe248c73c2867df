/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_vm_move.c - baton vm move-device: its options and its report. The steps are in
 * move.c. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli_options.h"
#include "cli_vm.h"
#include "clock.h"
#include "config.h"
#include "move.h"
#include "name.h"
#include "plug_open.h"

#define COMMAND "vm move-device"
#define DEFAULT_DEADLINE_NS (5 * NS_PER_S)
#define DEFAULT_PLUG_NS (10 * NS_PER_S)
#define MAX_DEADLINE_NS (600 * NS_PER_S)

struct options {
    const char *from, *to, *to_inside, *from_vm, *to_vm, *file, *device, *bus;
    const char *deadline, *plug_deadline;
    bool is_shared, is_json, has_progress;
};

static bool
take_time(const char *option, const char *text, uint64_t *ret_ns)
{
    struct err e = {{0}};

    if (text == NULL) {
        return true; /* the default stays */
    }
    if (config_parse_duration(text, &e, ret_ns) < 0) {
        (void)cli_fail(0, COMMAND, "%s: %s", option, e.msg);
        return false;
    }
    if (*ret_ns < NS_PER_MS || *ret_ns > MAX_DEADLINE_NS) {
        (void)cli_fail(0, COMMAND, "%s %s: allowed: 1ms to 10m", option, text);
        return false;
    }
    return true;
}

static bool
take_uri(const char *option, const char *text, struct uri *ret_uri)
{
    struct err e = {{0}};

    if (text == NULL) {
        (void)cli_fail(0, COMMAND, "%s URI is missing", option);
        return false;
    }
    if (uri_parse(text, URI_FOR_CONTROL, &e, ret_uri) < 0) {
        (void)cli_fail(0, COMMAND, "%s: %s", option, e.msg);
        return false;
    }
    return true;
}

static bool
take_vm(const char *option, const char *text, struct plug **ret_p)
{
    struct err e = {{0}};

    if (text == NULL) {
        (void)cli_fail(0, COMMAND, "%s VM is missing", option);
        return false;
    }
    if (plug_open(text, &e, ret_p) < 0) {
        (void)cli_fail(0, COMMAND, "%s: %s", option, e.msg);
        return false;
    }
    return true;
}

/* The id has to be a word for QEMU and libvirt, and part of a path. */
static bool
take_device(const struct options *o, const char *disk, struct plug_device *d)
{
    const char *id = o->device != NULL ? o->device : disk;
    size_t n = 0;

    while (isalnum((unsigned char)id[n]) ||
           (n > 0 && strchr("-_", id[n]) != NULL && id[n] != '\0')) {
        n++;
    }
    if (n == 0 || id[n] != '\0' || n > PLUG_MAX_ID || !isalpha((unsigned char)id[0])) {
        (void)cli_fail(0, COMMAND,
                       "\"%.100s\" is not the id of a device; give --device: a letter, "
                       "then letters, digits, \"-\" and \"_\", %d in all",
                       id, PLUG_MAX_ID);
        return false;
    }
    if (o->file == NULL || o->file[0] != '/') {
        (void)cli_fail(0, COMMAND, "--file is %s; allowed: an absolute path",
                       o->file != NULL ? o->file : "missing");
        return false;
    }
    *d = (struct plug_device){
        .id = id, .file = o->file, .bus = o->bus, .is_shared = o->is_shared};
    return true;
}

/* Failures here are CLI_REFUSED, not CLI_USAGE: the file is the host's state. */
static int
look_at_file(struct plug_device *d)
{
    struct stat st;

    if (stat(d->file, &st) < 0) {
        int rc = -errno;

        return cli_refuse(rc, COMMAND, "%s: %s", d->file, err_text(NULL, rc));
    }
    d->is_block = S_ISBLK(st.st_mode);
    if (!d->is_block && !S_ISREG(st.st_mode)) {
        return cli_refuse(-EINVAL, COMMAND,
                          "%s is neither a regular file nor a block device", d->file);
    }
    return CLI_DONE;
}

static void
say_phase(void *opaque, const char *phase)
{
    const struct move_order *o = opaque;

    (void)fprintf(stderr, "%s: %s\n", o->disk, phase);
}

static void
say_done(const struct move_order *o, const json_t *report)
{
    const json_t *phases = json_object_get(report, "phases");
    double ms[MOVE_NR_PHASES];
    static const char *const keys[MOVE_NR_PHASES] = {
        "prepare_us", "park_us", "detach_us", "attach_us", "assign_us"};

    for (unsigned i = 0; i < MOVE_NR_PHASES; i++) {
        ms[i] = (double)cli_number(phases, keys[i]) / 1000.0;
    }
    (void)printf("%s: moved from %s to %s; clients waited %.1f ms (park %.1f, detach "
                 "%.1f, attach %.1f, assign %.1f ms)\n",
                 o->disk, o->from.text, o->to.text,
                 (double)cli_number(report, "stall_us") / 1000.0, ms[MOVE_PARK],
                 ms[MOVE_DETACH], ms[MOVE_ATTACH], ms[MOVE_ASSIGN]);
}

static int
run(struct move_order *order, const struct options *o)
{
    struct err e = {{0}};
    json_t *report = NULL;
    int status = look_at_file(&order->device);

    if (status != CLI_DONE) {
        return status;
    }
    if (o->has_progress || isatty(STDERR_FILENO)) {
        order->on_phase = say_phase;
        order->opaque = order;
    }
    status = move_run(order, &e, &report);
    if (status != CLI_DONE) {
        (void)cli_fail(status, COMMAND, "%s", e.msg);
    } else {
        cli_note_change();
    }
    if (o->is_json) {
        cli_print_json(report);
    } else if (status == CLI_DONE) {
        say_done(order, report);
    }
    json_decref(report);
    return status;
}

static int
check(struct move_order *order, const struct options *o)
{
    int status = CLI_USAGE;
    struct uri inside;

    if (!name_is_valid(order->disk)) {
        return cli_fail(CLI_USAGE, COMMAND, "\"%.100s\" is not the name of a disk",
                        order->disk);
    }
    order->to_inside = o->to_inside != NULL ? o->to_inside : o->to;
    if (take_uri("--from", o->from, &order->from) &&
        take_uri("--to", o->to, &order->to) &&
        take_uri("--to-inside", order->to_inside, &inside) &&
        take_time("--deadline", o->deadline, &order->deadline_len_ns) &&
        take_time("--plug-deadline", o->plug_deadline, &order->plug_len_ns) &&
        take_device(o, order->disk, &order->device) &&
        take_vm("--from-vm", o->from_vm, &order->from_vm) &&
        take_vm("--to-vm", o->to_vm, &order->to_vm)) {
        status = strcmp(o->from_vm, o->to_vm) == 0
                     ? cli_fail(CLI_USAGE, COMMAND,
                                "--from-vm and --to-vm are the same; allowed: two VMs")
                     : run(order, o);
    }
    plug_close(order->from_vm);
    plug_close(order->to_vm);
    return status;
}

int
cmd_vm_move(int argc, char **argv)
{
    struct move_order order = {.deadline_len_ns = DEFAULT_DEADLINE_NS,
                               .plug_len_ns = DEFAULT_PLUG_NS};
    static const struct cli_usage usage = {
        COMMAND,
        "usage: baton vm move-device DISK --from URI --to URI --from-vm VM --to-vm VM\n"
        "           --file PATH [--device ID] [--bus BUS] [--share] [--to-inside URI]\n"
        "           [--deadline 5s] [--plug-deadline 10s] [--progress] [--json]\n"
        "  Moves a disk with its device from the service in one VM to the one in "
        "another.\n",
        "  If it is killed at any step, the same command goes on with the move.\n", 20};
    struct options o = {.from = NULL};
    const struct cli_option options[] = {
        {"from", "URI", NULL, .text = &o.from},
        {"to", "URI", "control sockets of the two services", .text = &o.to},
        {"to-inside", "URI", "--to as the first service reaches it (default: --to)",
         .text = &o.to_inside},
        {"from-vm", NULL, NULL, .text = &o.from_vm},
        {"to-vm", NULL, "qmp:PATH of QEMU's monitor, or libvirt:[URI#]DOMAIN",
         .text = &o.to_vm},
        {"file", "PATH", "the file or block device of this host", .text = &o.file},
        {"device", "ID",
         "the device's id in the VMs and its serial number (default:\n"
         "DISK)",
         .text = &o.device},
        {"bus", "BUS", "where it is plugged in (default: where there is room)",
         .text = &o.bus},
        {"share", NULL,
         "both VMs may have the device at a time: ownership moves\n"
         "first, and plugging is not part of the stall",
         .flag = &o.is_shared},
        {"deadline", "TIME", "give up the parking after this time",
         .text = &o.deadline},
        {"plug-deadline", "TIME",
         "how long a guest may take to let go of the device, or to\n"
         "see it",
         .text = &o.plug_deadline},
        {"progress", NULL, "print a line for each step, also without a terminal",
         .flag = &o.has_progress},
        {"json", NULL, "the report as JSON on one line", .flag = &o.is_json},
        {0},
    };
    int status;

    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (argc - optind != 1) {
        return cli_fail(CLI_USAGE, COMMAND, "one DISK is expected");
    }
    order.disk = argv[optind];
    return check(&order, &o);
}
