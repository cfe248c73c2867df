/* SPDX-License-Identifier: BSD-3-Clause */
/* cli_options.h - the long options of a command as a table. */
#ifndef BATON_CLI_OPTIONS_H
#define BATON_CLI_OPTIONS_H

#include <stdbool.h>

struct cli_option {
    const char *name; /* without "--"; the table ends with NULL */
    const char *
        *text;  /* takes a value, once, and it is put here; NULL: it takes none */
    bool *flag; /* true when it was given; it may be given again */
};

/* Take all options of argv, which begins with the command's own name; --help is one
 * more. True: go on, with what is left at argv[optind]. False: *ret_status is what to
 * end with, after a sentence or the help. */
bool cli_take_options(int argc, char **argv, const char *command, const char *help,
                      const struct cli_option *options, int *ret_status);

#endif
