/* SPDX-License-Identifier: BSD-3-Clause */
#include "option.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS 32
#define FIRST_ID 256 /* what getopt_long() returns for rows[0]; no character */

static const char suffixes[] = "kmg";

static void
refuse(const char *name, const char *text, uint64_t least, uint64_t most)
{
    (void)fprintf(stderr,
                  "--%s: \"%s\" is not a number from %" PRIu64 " to %" PRIu64 "\n",
                  name, text, least, most);
    exit(2);
}

uint64_t
option_number(const char *name, const char *text, uint64_t least, uint64_t most)
{
    char *end = NULL;
    const char *suffix;
    unsigned shift = 0;
    uint64_t value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9') {
        refuse(name, text, least, most);
    }
    suffix = *end == '\0' ? NULL : strchr(suffixes, *end | 0x20);
    if (suffix != NULL) {
        shift = 10 * (unsigned)(suffix - suffixes + 1);
        end++;
    }
    if (*end != '\0' || value > most >> shift || value << shift < least) {
        refuse(name, text, least, most);
    }
    return value << shift;
}

void
option_range(const char *name, const char *text, uint64_t least, uint64_t most,
             uint64_t *ret_from, uint64_t *ret_to)
{
    const char *dots = strstr(text, "..");
    char from[32];

    if (dots == NULL) {
        *ret_from = *ret_to = option_number(name, text, least, most);
        return;
    }
    (void)snprintf(from, sizeof(from), "%.*s", (int)(dots - text), text);
    *ret_from = option_number(name, from, least, most);
    *ret_to = option_number(name, dots + 2, *ret_from, most);
}

static int
has_arg(const struct option_row *row)
{
    if (row->flag != NULL) {
        return no_argument;
    }
    return row->if_bare != NULL ? optional_argument : required_argument;
}

static void
take(const struct option_row *row, void *ctx, char *arg)
{
    uint64_t unit = row->unit == 0 ? 1 : row->unit;
    const char *text = arg == NULL ? row->if_bare : arg;

    if (row->flag != NULL) {
        *row->flag = true;
    } else if (row->text != NULL) {
        *row->text = text;
    } else if (row->number != NULL) {
        *row->number = option_number(row->name, text, row->least, row->most) * unit;
    } else if (row->count != NULL) {
        *row->count = (unsigned)option_number(row->name, text, row->least, row->most);
    } else {
        row->call(ctx, arg);
    }
}

int
option_parse(const struct option_tool *tool, const struct option_row *rows,
             size_t nr_rows, void *ctx, int argc, char **argv)
{
    struct option long_options[MAX_ROWS + 2] = {{NULL, 0, NULL, 0}};
    const int help = FIRST_ID + MAX_ROWS;
    int id;

    assert(nr_rows <= MAX_ROWS);
    for (size_t i = 0; i < nr_rows; i++) {
        long_options[i] =
            (struct option){rows[i].name, has_arg(&rows[i]), NULL, FIRST_ID + (int)i};
    }
    long_options[nr_rows] = (struct option){"help", no_argument, NULL, help};
    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (id == help) {
            (void)fputs(tool->usage, stdout);
            exit(0);
        }
        if (id < FIRST_ID) {
            option_wrong_usage(tool, "unknown option");
        }
        take(&rows[id - FIRST_ID], ctx, optarg);
    }
    return optind;
}

void
option_wrong_usage(const struct option_tool *tool, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n%s", tool->name, why, tool->usage);
    exit(2);
}
