/* SPDX-License-Identifier: BSD-3-Clause */
/* cli.h - the commands of baton(1), how a program finds the one that it is told, and
 * the service that a command speaks to. Each command gets argv from its own word on and
 * returns the exit status (say.h); cmd_NAME() is in cmd_NAME.c (cmd_*), but park,
 * unpark and abort are in cmd_handoff.c. One thread. */
#ifndef BATON_CLI_H
#define BATON_CLI_H

#include "rpc.h"
#include "say.h"
#include "uri.h"

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

/* A row of a program's table of commands, which ends with one without a name. */
struct cli_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *synopsis; /* its line in the program's --help; NULL: it has none */
};

/* Run the command that argv[1] names. If it names none, a sentence says which there
 * are: "baton: <who>: no such command: ...". Returns the exit status. */
int cli_run_command(int argc, char **argv, const char *who,
                    const struct cli_command *commands);

/* Where the service is: at, else $BATON_CONTROL, else the only /run/baton/<name>.ctl.
 * Returns CLI_DONE, or another status after a sentence. */
int cli_find_service(const char *command, const char *at, struct uri *ret_uri);

/* Connect to the service at u and see that it answers. 0, or -errno and a sentence in
 * e: then the service was asked for nothing. */
int cli_reach(const struct uri *u, struct err *e, struct rpc_client **ret_client);

/* The same, one call of its own that may take len_ns, and the end of the connection.
 * Everything as of rpc_call(); when the service was not reached *ret_code is
 * RPC_REFUSED. */
int cli_ask(const struct uri *u, const char *method, json_t *params, uint64_t len_ns,
            struct err *e, int *ret_code, json_t **ret_result);

#endif
