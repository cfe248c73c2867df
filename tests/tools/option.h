/* SPDX-License-Identifier: BSD-3-Clause */
/* option.h - the command line of a tool: one row for each option. Whatever is wrong
 * with it ends the tool with status 2 and a message. */
#ifndef BATON_OPTION_H
#define BATON_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct option_tool {
    const char *name;
    const char *usage; /* what --help prints */
};

/* Exactly one of the pointers says where the option goes. */
struct option_row {
    const char *name;                   /* without the dashes */
    bool *flag;                         /* takes no argument: set to true */
    const char **text;                  /* gets the argument itself */
    uint64_t *number;                   /* gets option_number() times unit */
    unsigned *count;                    /* gets option_number() */
    void (*call)(void *ctx, char *arg); /* does the rest */

    uint64_t least, most; /* of number and count, before unit is applied */
    uint64_t unit;        /* 0: as given */

    /* The argument may be left out: number then becomes that of if_bare, call gets
     * NULL. Otherwise every option but a flag has one. */
    const char *if_bare;
};

/* For a row of seconds. */
#define OPTION_SECONDS .least = 1, .most = 1 << 30, .unit = UINT64_C(1000000000)

/* Does what the rows say, and --help. Returns where in argv the arguments begin that
 * are no options: getopt moves them to the end. */
int option_parse(const struct option_tool *tool, const struct option_row *rows,
                 size_t nr_rows, void *ctx, int argc, char **argv);

/* Says why, prints the usage and ends the tool. */
_Noreturn void option_wrong_usage(const struct option_tool *tool, const char *why);

/* Decimal, with k, m or g for powers of 1024. least <= the result <= most. */
uint64_t option_number(const char *name, const char *text, uint64_t least,
                       uint64_t most);

/* "A..B", or "A" for both. */
void option_range(const char *name, const char *text, uint64_t least, uint64_t most,
                  uint64_t *ret_from, uint64_t *ret_to);

#endif
