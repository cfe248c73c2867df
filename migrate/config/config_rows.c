/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_rows.h"

#include <assert.h>
#include <string.h>

#define OPTION_COLUMN 22
#define PARAMETER_COLUMN 17

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

/* Options of "baton serve", or parameters of nbdkit. */
static const struct style {
    const char *before, *more, *between, *again;
    int column; /* of the help */
    bool is_option;
} option_style = {"  --", ", --", " ", "; may be repeated", 22, true},
  parameter_style = {"", ", ", "=", " (may be repeated)", 17, false};

/* The help begins at the column, below what several rows share it; behind a single one
 * that is too long for that it begins after two blanks. */
static void
put_line(FILE *f, const struct style *style, const char *words, bool is_shared,
         const char *help, const char *again)
{
    int width = fprintf(f, "%s%s%s", style->before, words, is_shared ? "\n" : "");
    int blanks = style->column - width;

    if (is_shared) {
        blanks = style->column;
    } else if (blanks <= 0) {
        blanks = 2;
    }
    (void)fprintf(f, "%*s%s%s\n", blanks, "", help, again);
}

static const char *
help_of(const struct config_row *row, const struct style *style)
{
    return !style->is_option && row->parameter_help != NULL ? row->parameter_help
                                                            : row->help;
}

static void
put_rows(FILE *f, const struct style *style, const struct config_row *rows)
{
    char words[256] = "";
    size_t n = 0;
    bool is_shared = false;

    for (; rows->word != NULL; rows++) {
        if (style->is_option && rows->is_in_synopsis) {
            continue;
        }
        is_shared = n > 0;
        n += (size_t)snprintf(words + n, sizeof words - n, "%s%s%s%s",
                              is_shared ? style->more : "", rows->word, style->between,
                              rows->argument);
        assert(n < sizeof words);
        if (help_of(rows, style) != NULL) {
            put_line(f, style, words, is_shared, help_of(rows, style),
                     rows->repeats ? style->again : "");
            n = 0;
        }
    }
}

void
config_rows_help_options(const struct config_row *rows, FILE *f)
{
    put_rows(f, &option_style, rows);
}

void
config_rows_help_parameters(const struct config_row *rows, FILE *f)
{
    put_rows(f, &parameter_style, rows);
}

void
config_rows_help_option(FILE *f, const char *words, const char *help)
{
    put_line(f, &option_style, words, false, help, "");
}

void
config_rows_help_parameter(FILE *f, const char *words, const char *help)
{
    put_line(f, &parameter_style, words, false, help, "");
}
