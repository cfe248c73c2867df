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
    {"recover", cmd_recover,
     "what is known when an owner is gone, and take its place: DISK|vm:VM"},
    {"vm", cmd_vm, "domains of libvirt: define-disk, list, migrate"},
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
    (void)fprintf(
        stderr, "baton: %s%s; allowed: ",
        name == NULL ? "no command" : "no such command: ", name == NULL ? "" : name);
    for (size_t i = 0; i < NR_COMMANDS; i++) {
        (void)fprintf(stderr, "%s%s", i == 0 ? "" : ", ", commands[i].name);
    }
    (void)fprintf(stderr, ", --help, --version\n");
    return CLI_USAGE;
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
    int status = run(argc, argv);

    if ((fflush(stdout) != 0 || ferror(stdout)) && status == CLI_DONE) {
        status = cli_fail(CLI_REFUSED, "output", "cannot write to standard output");
    }
    return status;
}
