/* SPDX-License-Identifier: BSD-3-Clause */
/* cli.h - what the commands of baton(1) share. Each command gets argv from its own name
 * on, prints sentences to standard error, and returns the exit status. One thread. */
#ifndef BATON_CLI_H
#define BATON_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "rpc.h"

/* Exit statuses; scripts rely on them. */
#define CLI_DONE 0
#define CLI_REFUSED 1   /* refused or failed, nothing changed */
#define CLI_USAGE 2     /* a bad option or configuration; nothing was tried */
#define CLI_COMMITTED 3 /* committed, not finished or not known; the services go on */

int cmd_serve(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_handoff(int argc, char **argv);
int cmd_park(int argc, char **argv);
int cmd_unpark(int argc, char **argv);
int cmd_abort(int argc, char **argv);
int cmd_attach(int argc, char **argv);
int cmd_lease(int argc, char **argv);
int cmd_vm(int argc, char **argv);
int cmd_recover(int argc, char **argv);
int cmd_proxy(int argc, char **argv);
int cmd_serial(int argc, char **argv);

/* Print "baton: <command>: <sentence>" and return status. */
int cli_fail(int status, const char *command, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for what failed with rc, which is in the object of --json; CLI_REFUSED. */
int cli_refuse(int rc, const char *command, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* It is done: whatever fails from now on, "nothing changed" would be wrong. */
void cli_note_change(void);

/* What main() returns. With --json an error that is not on standard output yet is
 * printed there, and a failed write of standard output is a failure. */
int cli_end(int argc, char **argv, int status);

/* The next long option's val (those of cli_tls.h, of commands with --at, are dealt with
 * here), -1 at the end of options, or '?' after a sentence that
 * lists the allowed ones. The argument is in optarg. */
int cli_next_option(int argc, char **argv, const struct option *options);

/* *slot = optarg; false after a sentence when it was given before or is empty. */
bool cli_take_once(const char *command, const char *option, const char **slot);

/* A decimal number in [min, max]; false after a sentence. */
bool cli_take_number(const char *command, const char *option, const char *text,
                     unsigned min, unsigned max, unsigned *ret_number);

/* Where the service is: at, else $BATON_CONTROL, else the only /run/baton/<name>.ctl.
 * Returns CLI_DONE, or another status after a sentence. */
int cli_find_service(const char *command, const char *at, struct uri *ret_uri);

/* Connect to a service that answers. 0, or -errno and the sentence in e: then nothing
 * was asked of it. */
int cli_reach(const struct uri *u, struct err *e, struct rpc_client **ret_client);

/* A text or number of o as printable text in buf ("-" when it is missing or empty):
 * what another service says does not control the terminal. Returns buf. */
const char *cli_text(const json_t *o, const char *key, char *buf, size_t size);
uint64_t cli_number(const json_t *o, const char *key); /* 0 when missing */
void cli_clean(char *text);

/* Print o as one line of JSON on standard output, at once. */
void cli_print_json(const json_t *o);
/* The same for {"error": {"code", "message", "errno"}}. */
void cli_print_error(int code, int rc, const char *message);

#endif
