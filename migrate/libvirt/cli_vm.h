/* SPDX-License-Identifier: BSD-3-Clause */
/* cli_vm.h - the commands of "baton vm". */
#ifndef BATON_CLI_VM_H
#define BATON_CLI_VM_H

#include "cli.h"

int vm_define_disk(int argc, char **argv);
int vm_list(int argc, char **argv);
int vm_migrate(int argc, char **argv);
int vm_save(int argc, char **argv);
int vm_move_device(int argc, char **argv);

/* The answer of a service to "status"; disk: NULL for all. 0, or -errno and a sentence.
 */
int vm_ask(const struct uri *u, const char *disk, struct err *e, json_t **ret_report);

/* The same of the service at `at`; NULL after a sentence, and *ret_status
 * is the one to end with. */
json_t *vm_status(const char *command, const char *at, const char *disk,
                  int *ret_status);

/* The service's disk that an export name means; NULL. */
const json_t *vm_find_disk(const json_t *report, const char *name);

/* Is socket where the service with this status listens? */
bool vm_is_listener(const json_t *report, const char *socket);

#endif
