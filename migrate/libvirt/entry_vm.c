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

int
main(int argc, char **argv)
{
    int status = CLI_USAGE;

    if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
        (void)printf(HELP);
        status = CLI_DONE;
    } else if (argc >= 2 && strcmp(argv[1], "define-disk") == 0) {
        status = cmd_vm_define(argc - 1, argv + 1);
    } else if (argc >= 2 && strcmp(argv[1], "list") == 0) {
        status = cmd_vm_list(argc - 1, argv + 1);
    } else if (argc >= 2 && strcmp(argv[1], "migrate") == 0) {
        status = cmd_vm_migrate(argc - 1, argv + 1);
    } else if (argc >= 2 && strcmp(argv[1], "save") == 0) {
        status = cmd_vm_save(argc - 1, argv + 1);
    } else if (argc >= 2 && strcmp(argv[1], "move-device") == 0) {
        status = cmd_vm_move(argc - 1, argv + 1);
    } else {
        (void)cli_fail(
            0, "vm", "%s%.100s; allowed: define-disk, list, migrate, save, move-device",
            argc < 2 ? "no command" : "no such command: ", argc < 2 ? "" : argv[1]);
    }
    return cli_end(argc, argv, status);
}
