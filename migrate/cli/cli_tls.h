/* SPDX-License-Identifier: BSD-3-Clause */
/* cli_tls.h - the options that every command which speaks to a service has: they say
 * who the command is to a service on another host. Only cli_take_options() uses them.
 * One thread. */
#ifndef BATON_CLI_TLS_H
#define BATON_CLI_TLS_H

#include "cli_options.h"

/* The table. baton(1) describes its options once for all commands, so no --help shows
 * them. */
const struct cli_option *cli_tls_options(void);

/* To be called when all options are taken. Checks that they fit together, loads what
 * they name, and makes it what this process is to others. False after a sentence. */
bool cli_tls_complete(const char *command);

#endif
