/* SPDX-License-Identifier: BSD-3-Clause */
/* entry_vm.c - the program baton-vm, which "baton vm" runs: the commands that need
 * libvirt's library. */
#include <string.h>

#include "cli_vm.h"

#define HELP                                                                           \
    "usage: baton vm define-disk DISK [--at URI] [--target vda] [--apply DOMAIN] "     \
    "...\n"                                                                            \
    "       baton vm list [--at URI] [--connect URI] [--json]\n"                       \
    "       baton vm migrate DOMAIN DEST-URI --to URI [--at URI] [--json]\n"           \
    "       baton vm save DOMAIN [FILE] [--at URI] [--json]\n"                         \
    "       baton vm move-device DISK --from URI --to URI --from-vm VM --to-vm VM\n"   \
    "                       --file PATH ...\n"                                         \
    "\"baton vm COMMAND --help\" says more, baton(1) says all.\n"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"define-disk", cmd_vm_define}, {"list", cmd_vm_list},
    {"migrate", cmd_vm_migrate},    {"save", cmd_vm_save},
    {"move-device", cmd_vm_move},
};
#define NR_COMMANDS (sizeof commands / sizeof commands[0])

static int
refuse_command(const char *name)
{
    char list[256] = "";
    size_t n = 0;

    for (size_t i = 0; i < NR_COMMANDS && n < sizeof list; i++) {
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i == 0 ? "" : ", ",
                              commands[i].name);
    }
    return cli_fail(CLI_USAGE, "vm", "%s%.100s; allowed: %s",
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
        (void)printf(HELP);
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
