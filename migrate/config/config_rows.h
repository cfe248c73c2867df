/* SPDX-License-Identifier: BSD-3-Clause */
/* config_rows.h - a setting is one row of a table. Its option of "baton serve", its key
 * in the file, its parameter of the plugin, the help and the lists in refusals are made
 * from the row, and bash completion asks "baton serve" for them. To add a setting, add
 * a row with its parser, and say in the man pages what it means;
 * flow/every_option_is_documented.sh finds what is missing there.
 *
 * There are two tables: config_settings[] for a service (config_settings.c), and
 * config_disk_keys[] for what stands behind disk= (config_disk.c). Both end with a row
 * without a word. */
#ifndef BATON_CONFIG_ROWS_H
#define BATON_CONFIG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "err.h"

struct service_config;
struct disk_config;
struct config_items;

/* What the value may be in the file. */
enum config_form {
    CONFIG_TEXT,        /* a text in double quotes */
    CONFIG_TEXTS,       /* the same, or several in [ ] or ( ) */
    CONFIG_SWITCH,      /* true, false */
    CONFIG_ID,          /* a text or a number */
    CONFIG_GROUPS,      /* ( { KEY = VALUE; ... }, ... ) */
    CONFIG_SCALAR,      /* a text, a number or a boolean: keys of a disk */
    CONFIG_LIST,        /* texts in [ ] or ( ), nothing else */
    CONFIG_NOT_IN_FILE, /* "config" itself */
};

struct config_row {
    const char *word;      /* --word, word= */
    const char *file_word; /* in the file, where that is another one; else NULL */
    const char *argument;  /* as the help has it; in small letters: the only value */
    enum config_form form;
    bool repeats;        /* may be given again */
    bool is_in_synopsis; /* of "baton serve", which has no other line for it */
    const char *help;    /* of the option; NULL: the next row's is for this one, too */
    const char *parameter_help; /* where the plugin's help says it in other words */

    /* Parsers: exactly one is there, but for "config", which config.c knows. Each is 0,
     * or -EINVAL or -ENOMEM with a sentence, and has changed nothing then. */
    int (*set)(struct service_config *c, const char *value, struct err *e);
    int (*add)(struct service_config *c, const struct config_items *items,
               const char *place, struct err *e); /* a value of KEY=VALUE,... */
    int (*set_disk)(struct disk_config *d, const char *value, struct err *e);
};

/* NULL when there is none; in_file: by the file's word. */
const struct config_row *config_rows_find(const struct config_row *rows,
                                          const char *word, bool in_file);

/* "name, listen, ...", as options or as the file has them. */
void config_rows_list(const struct config_row *rows, bool in_file, char *list,
                      size_t size);
#define CONFIG_LIST_LEN 512

/* Lines of help, as parameters of nbdkit. */
void config_rows_help_parameters(const struct config_row *rows, FILE *f);

/* The same of something that is no setting: "pidfile=FILE". */
void config_rows_help_parameter(FILE *f, const char *words, const char *help);

#endif
