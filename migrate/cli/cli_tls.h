/* SPDX-License-Identifier: BSD-3-Clause */
/* cli_tls.h - who a command is to a service on another host: the options of every
 * command that speaks to one. Used by cli_next_option() only. One thread. */
#ifndef BATON_CLI_TLS_H
#define BATON_CLI_TLS_H

#include <getopt.h>
#include <stdbool.h>

#define CLI_MAX_OPTIONS 32

/* Copy options and, if the command reaches a service, add ours. */
void cli_tls_add(const struct option *options, struct option all[CLI_MAX_OPTIONS]);

bool cli_tls_is_option(int val);

/* Take optarg; false after a sentence. */
bool cli_tls_take(const char *command, int val);

/* All options are known: is it all there, and can it be loaded? From now on it is who
 * the process is. False after a sentence. */
bool cli_tls_complete(const char *command);

#endif
