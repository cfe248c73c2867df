/* SPDX-License-Identifier: BSD-3-Clause */
/* entry_baton.c - the command line tool: finds the command and runs it. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *synopsis;
} commands[] = {
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
};
#define NR_COMMANDS (sizeof commands / sizeof commands[0])

static void
print_help(void)
{
    (void)printf("usage: baton COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < NR_COMMANDS; i++) {
        (void)printf("  %-9s%s\n", commands[i].name, commands[i].synopsis);
    }
    (void)printf("\n\"baton COMMAND --help\" says more, baton(1) says all.\n");
}

static int
refuse_command(const char *name)
{
    char list[256];
    size_t n = 0;

    for (size_t i = 0; i < NR_COMMANDS && n < sizeof list; i++) {
        n += (size_t)snprintf(list + n, sizeof list - n, "%s, ", commands[i].name);
    }
    return cli_fail(CLI_USAGE, "usage", "%s%.100s; allowed: %s--help, --version",
                    name == NULL ? "no command" : "no such command: ",
                    name == NULL ? "" : name, list);
}

static int
run(int argc, char **argv)
{
    if (argc < 2) {
        return refuse_command(NULL);
    }
    if (strcmp(argv[1], "--help") == 0) {
        print_help();
        return CLI_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("baton %s\n", BATON_VERSION);
        return CLI_DONE;
    }
    for (size_t i = 0; i < NR_COMMANDS; i++) {
        if (strcmp(commands[i].name, argv[1]) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    return refuse_command(argv[1]);
}

int
main(int argc, char **argv)
{
    return cli_end(argc, argv, run(argc, argv));
}
