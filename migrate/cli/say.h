/* SPDX-License-Identifier: BSD-3-Clause */
/* say.h - what every command says, and how it ends: sentences for people on standard
 * error, JSON for scripts on standard output, and an exit status. Prefix: cli_*, which
 * cli.h and cli_options.h share. One thread. */
#ifndef BATON_SAY_H
#define BATON_SAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

/* Exit statuses; scripts rely on them. */
#define CLI_DONE 0
#define CLI_REFUSED 1   /* refused or failed, nothing changed */
#define CLI_USAGE 2     /* a bad option or configuration; nothing was tried */
#define CLI_COMMITTED 3 /* committed, not finished or not known; the services go on */

/* Print "baton: <command>: <sentence>" and return status. */
int cli_fail(int status, const char *command, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a call that failed with rc; --json prints rc as the error's "errno".
 * Returns CLI_REFUSED. */
int cli_refuse(int rc, const char *command, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The command has changed something: from now on CLI_REFUSED, which promises that
 * nothing changed, would be wrong. */
void cli_note_change(void);

/* Returns what main() returns. With --json, an error that is not on standard output yet
 * is printed there. A failed write to standard output is a failure. */
int cli_end(int argc, char **argv, int status);

/* Member `key` of o, a text or a number, as printable text in buf; "-" when it is
 * missing or empty. What another service says cannot control the terminal. Returns buf.
 */
const char *cli_text(const json_t *o, const char *key, char *buf, size_t size);
uint64_t cli_number(const json_t *o, const char *key); /* 0 when it is missing */

/* Print o as one line of JSON on standard output, at once. */
void cli_print_json(const json_t *o);
/* The same for {"error": {"code", "message", "errno"}}. */
void cli_print_error(int code, int rc, const char *message);

#endif
