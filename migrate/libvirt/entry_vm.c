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

static const struct cli_command commands[] = {
    {"define-disk", cmd_vm_define, NULL}, {"list", cmd_vm_list, NULL},
    {"migrate", cmd_vm_migrate, NULL},    {"save", cmd_vm_save, NULL},
    {"move-device", cmd_vm_move, NULL},   {0},
};

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        (void)printf(HELP);
        return cli_end(argc, argv, CLI_DONE);
    }
    return cli_end(argc, argv, cli_run_command(argc, argv, "vm", commands));
}
