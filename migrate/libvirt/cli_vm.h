/* SPDX-License-Identifier: BSD-3-Clause */
/* cli_vm.h - the commands of "baton vm", each in a file of its name. As in cli.h. */
#ifndef BATON_CLI_VM_H
#define BATON_CLI_VM_H

#include "cli.h"

int cmd_vm_define(int argc, char **argv); /* define-disk */
int cmd_vm_list(int argc, char **argv);
int cmd_vm_migrate(int argc, char **argv);
int cmd_vm_save(int argc, char **argv);
int cmd_vm_move(int argc, char **argv); /* move-device */

#endif
