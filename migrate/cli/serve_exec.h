/* SPDX-License-Identifier: BSD-3-Clause */
/* serve_exec.h (serve_*) - turns a checked service into an nbdkit process. */
#ifndef BATON_SERVE_EXEC_H
#define BATON_SERVE_EXEC_H

#include <stdbool.h>

#include "config.h"
#include "err.h"

#define SERVE_MAX_ARGS 8192

/* A list of arguments that grows; each is a string of its own. */
struct serve_args {
    unsigned nr;
    char *arg[SERVE_MAX_ARGS + 1]; /* ends with NULL */
};

/* Add "<text>" or "<key>=<text>" when key is not NULL. -E2BIG or -ENOMEM. */
int serve_args_add(struct serve_args *a, const char *key, const char *text,
                   struct err *e);
void serve_args_done(struct serve_args *a);

struct serve_sockets {
    unsigned nr_listen;
    int listen[CONFIG_MAX_LISTEN];
    int control;
    unsigned nr_net_control;
    int net_control[CONFIG_MAX_LISTEN];
};

/* Open all sockets of c, whose missing folders are made (one level, mode 0755). On
 * failure none stays open and no unix socket stays behind. */
int serve_sockets_open(const struct service_config *c, struct err *e,
                       struct serve_sockets *ret_sockets);
void serve_sockets_close(const struct service_config *c, struct serve_sockets *s);

/* The number that the control socket has in the new process; those of net_control
 * follow. */
int serve_control_fd(const struct service_config *c);

/* Become `program`; returns only on failure, with -errno. */
int serve_exec(const char *program, struct serve_args *a, struct serve_sockets *s,
               struct err *e);

/* Where the program `name` is: itself when it has a slash, else looked up in PATH.
 * -ENOENT when there is none; *ret_path is to be freed. */
int serve_find_program(const char *name, char **ret_path);

/* Where a shared module is: `given` when not NULL, else next to this program (a build
 * tree), else in the folder `installed`. It can be read. *ret_path is to be freed. */
int serve_find_module(const char *given, const char *name, const char *installed,
                      struct err *e, char **ret_path);

/* Have the module, the guard of nbdkit, preloaded into what serve_exec() becomes. It
 * may keep turns (stack/nbdkit/entry_guard_turn.c) unless filters are in front of the
 * plugin. One thread. */
int serve_preload(const char *name, const char *installed, bool keeps_turns,
                  struct err *e);

#endif
