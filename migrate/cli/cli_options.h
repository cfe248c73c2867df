/* SPDX-License-Identifier: BSD-3-Clause */
/* cli_options.h - the options of a command as one table. What the command takes, what
 * its --help prints and what the bash completion offers all come from it. Prefix:
 * cli_*, which cli.h and say.h share. One thread. */
#ifndef BATON_CLI_OPTIONS_H
#define BATON_CLI_OPTIONS_H

#include <getopt.h> /* optind, for who calls cli_take_options() */
#include <stdbool.h>

#define CLI_MAX_OPTIONS 32 /* with --help and those of cli_tls.h */

/* A long option. It sets one of text, flag and take. */
struct cli_option {
    const char *name;     /* without "--"; NULL ends the table */
    const char *argument; /* what --help shows behind the name, or NULL */
    const char *help;     /* its sentence in --help, with a newline before each further
                           * line. NULL: it stands before the next option, which has
                           * the sentence of both. "": --help does not show it */
    bool repeats;         /* --help says so */

    const char **text; /* takes a value, once, which is put here */
    bool *flag;        /* takes none; set to true, and may be given again */
    /* takes a value, each time; false after a sentence */
    bool (*take)(const struct cli_option *option, const char *value);
    void *opaque; /* for take */
};

/* A command as its --help describes it. */
struct cli_usage {
    const char *command; /* as in "baton: <command>: <sentence>" */
    const char *before;  /* what --help prints before the options, whole lines */
    const char *after;   /* and after them; NULL: nothing */
    int width;           /* of the column with the options */
};

/* Take all options of argv, which begins with the command's own word. A command with
 * --at or --from takes those of cli_tls.h, too, and every command takes --help. True:
 * go on, with what is left at argv[optind]. False: end with *ret_status; the help or a
 * sentence was printed. */
bool cli_take_options(int argc, char **argv, const struct cli_usage *usage,
                      const struct cli_option *options, int *ret_status);

/* A decimal number in [min, max]; false after a sentence. */
bool cli_take_number(const char *command, const char *option, const char *text,
                     unsigned min, unsigned max, unsigned *ret_number);

#endif
