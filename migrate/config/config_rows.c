/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_rows.h"

#include <assert.h>
#include <string.h>

#define COLUMN 17 /* of the help */

static const char *
word_of(const struct config_row *row, bool in_file)
{
    return in_file && row->file_word != NULL ? row->file_word : row->word;
}

static bool
is_possible(const struct config_row *row, bool in_file)
{
    return !in_file || row->form != CONFIG_NOT_IN_FILE;
}

const struct config_row *
config_rows_find(const struct config_row *rows, const char *word, bool in_file)
{
    for (; rows->word != NULL; rows++) {
        if (is_possible(rows, in_file) && strcmp(word_of(rows, in_file), word) == 0) {
            return rows;
        }
    }
    return NULL;
}

void
config_rows_list(const struct config_row *rows, bool in_file, char *list, size_t size)
{
    size_t n = 0;

    for (; rows->word != NULL; rows++) {
        if (is_possible(rows, in_file)) {
            n += (size_t)snprintf(list + n, size - n, "%s%s", n == 0 ? "" : ", ",
                                  word_of(rows, in_file));
            assert(n < size);
        }
    }
}

/* The help begins at the column, below what several rows share it. */
static void
put_line(FILE *f, const char *words, bool is_shared, const char *help,
         const char *again)
{
    int width = fprintf(f, "%s%s", words, is_shared ? "\n" : "");
    int blanks = is_shared ? COLUMN : COLUMN - width;

    (void)fprintf(f, "%*s%s%s\n", blanks > 0 ? blanks : 2, "", help, again);
}

void
config_rows_help_parameters(const struct config_row *rows, FILE *f)
{
    char words[256] = "";
    size_t n = 0;
    bool is_shared = false;

    for (; rows->word != NULL; rows++) {
        const char *help =
            rows->parameter_help != NULL ? rows->parameter_help : rows->help;

        is_shared = n > 0;
        n += (size_t)snprintf(words + n, sizeof words - n, "%s%s=%s",
                              is_shared ? ", " : "", rows->word, rows->argument);
        assert(n < sizeof words);
        if (help != NULL) {
            put_line(f, words, is_shared, help,
                     rows->repeats ? " (may be repeated)" : "");
            n = 0;
        }
    }
}

void
config_rows_help_parameter(FILE *f, const char *words, const char *help)
{
    put_line(f, words, false, help, "");
}
