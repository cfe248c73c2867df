/* SPDX-License-Identifier: BSD-3-Clause */
/* entry_baton.c - the command line tool, and the list of its commands. */
#include <stdio.h>

#include "cli.h"

static int print_help(int argc, char **argv);
static int print_version(int argc, char **argv);

static const struct cli_command commands[] = {
    {"serve", cmd_serve,
     "serve disks to VMs: --name, --listen, --control, --disk, ..."},
    {"status", cmd_status, "what a service has and does: [--at URI] [DISK]"},
    {"handoff", cmd_handoff, "move ownership: DISK|vm:VM|all --from URI --to URI"},
    {"park", cmd_park, "let go of the device and hold requests: DISK|vm:VM"},
    {"unpark", cmd_unpark, "take the device again: DISK|vm:VM"},
    {"abort", cmd_abort, "stop a handoff that is not committed: DISK|vm:VM"},
    {"attach", cmd_attach, "be a client of another service's disk: DISK --owner URI"},
    {"lease", cmd_lease, "which VMs may write to a disk: DISK [--release]"},
    {"recover", cmd_recover,
     "what is known when an owner is gone, and take its place: DISK|vm:VM"},
    {"vm", cmd_vm,
     "domains of libvirt: define-disk, list, migrate, save; and move-device"},
    {"proxy", cmd_proxy, "join standard input and output to a control socket: PATH"},
    {"serial", cmd_serial,
     "sockets of a VM or its host over a virtio-serial port: PORT"},
    {"--help", print_help, NULL},
    {"--version", print_version, NULL},
    {0},
};

static int
print_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)printf("usage: baton COMMAND [OPTIONS]\n\n");
    for (const struct cli_command *c = commands; c->synopsis != NULL; c++) {
        (void)printf("  %-9s%s\n", c->name, c->synopsis);
    }
    (void)printf("\n\"baton COMMAND --help\" says more, baton(1) says all.\n");
    return CLI_DONE;
}

static int
print_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)printf("baton %s\n", BATON_VERSION);
    return CLI_DONE;
}

int
main(int argc, char **argv)
{
    return cli_end(argc, argv, cli_run_command(argc, argv, "usage", commands));
}
