/* SPDX-License-Identifier: BSD-3-Clause */
/* vm_status.h - the answer of a service to "status" (report), and what the commands of
 * baton vm look up in it. What is looked up is lent by the report. */
#ifndef BATON_VM_STATUS_H
#define BATON_VM_STATUS_H

#include <stdbool.h>

#include <jansson.h>

#include "uri.h"

/* disk: its report alone; NULL for all. 0, or -errno and a sentence. */
int vm_status_ask(const struct uri *u, const char *disk, struct err *e,
                  json_t **ret_report);

/* The same for a command whose --at is `at`. NULL after a sentence: end with
 * *ret_status. */
json_t *vm_status_get(const char *command, const char *at, const char *disk,
                      int *ret_status);

/* The disk that an NBD export name means; the only one for "". NULL: there is none. */
const json_t *vm_status_find_disk(const json_t *report, const char *name);

/* Does the service listen at this unix socket? */
bool vm_status_is_listener(const json_t *report, const char *socket);

/* The first unix socket where it listens; NULL. */
const char *vm_status_first_socket(const json_t *report);

#endif
