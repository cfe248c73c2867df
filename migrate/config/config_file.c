/* SPDX-License-Identifier: BSD-3-Clause */
/* config_file.c - the configuration file. It only turns the file into the same settings
 * and items that options give; what they mean is judged by the rows' parsers.
 *
 * The file is read here and not by libconfig, whose scanner ends the process when a
 * read fails (a folder, for one). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libconfig.h>

#include "cleanup.h"
#include "config.h"
#include "config_parts.h"

#define MAX_FILE_SIZE (16 * 1024 * 1024)
#define PLACE_LEN 512

struct file_reader {
    struct service_config *config;
    const char *path;
    struct err *e;
};

/* "FILE:LINE"; an included file has its own name. */
static void
format_place(const struct file_reader *r, const config_setting_t *s, char *place)
{
    const char *file = config_setting_source_file(s);

    (void)snprintf(place, PLACE_LEN, "%.400s:%u", file != NULL ? file : r->path,
                   config_setting_source_line(s));
}

static int
refuse(const struct file_reader *r, const config_setting_t *s, const char *sentence)
{
    char place[PLACE_LEN];
    const char *name = config_setting_name(s);

    format_place(r, s, place);
    return err_set(r->e, -EINVAL, "%s: %.100s%s%s", place, name != NULL ? name : "",
                   name != NULL ? ": " : "", sentence);
}

/* A scalar as the text that an option would have; number must have 32 bytes. NULL when
 * it is no text, whole number or boolean. */
static const char *
scalar_text(const config_setting_t *s, char *number)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_STRING:
        return config_setting_get_string(s);
    case CONFIG_TYPE_BOOL:
        return config_setting_get_bool(s) ? "on" : "off";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        (void)snprintf(number, 32, "%lld", config_setting_get_int64(s));
        return number;
    default: /* groups, lists, fractions: libconfig's types are plain ints */
        return NULL;
    }
}

static int
apply_text(const struct file_reader *r, const struct config_row *row,
           const config_setting_t *s, const char *text)
{
    char place[PLACE_LEN], where[PLACE_LEN + 32];

    format_place(r, s, place);
    (void)snprintf(where, sizeof where, "%s: %s", place, row->word);
    return config_settings_apply(r->config, row, text, where, r->e);
}

static int
apply_string(const struct file_reader *r, const struct config_row *row,
             const config_setting_t *s)
{
    const char *text = config_setting_get_string(s);

    return text != NULL ? apply_text(r, row, s, text)
                        : refuse(r, s, "allowed: a text in double quotes");
}

static int
apply_scalar(const struct file_reader *r, const struct config_row *row,
             const config_setting_t *s, const char *sentence)
{
    char number[32];
    const char *text = scalar_text(s, number);

    return text != NULL ? apply_text(r, row, s, text) : refuse(r, s, sentence);
}

static bool
has_elements(const config_setting_t *s)
{
    return config_setting_is_array(s) || config_setting_is_list(s);
}

/* A text, or several in [ ] or ( ). */
static int
apply_strings(const struct file_reader *r, const struct config_row *row,
              const config_setting_t *s)
{
    int rc = 0;

    if (!has_elements(s)) {
        return apply_string(r, row, s);
    }
    for (int i = 0; rc == 0 && i < config_setting_length(s); i++) {
        rc = apply_string(r, row, config_setting_get_elem(s, (unsigned)i));
    }
    return rc;
}

static int
add_list(const struct file_reader *r, const char *key, const config_setting_t *s,
         struct config_items *items)
{
    char place[PLACE_LEN];
    int rc = 0;

    if (!has_elements(s)) {
        return refuse(r, s, "allowed: [ \"NAME:KEY=VALUE\", ... ], lowest first");
    }
    for (int i = 0; rc == 0 && i < config_setting_length(s); i++) {
        const config_setting_t *elem = config_setting_get_elem(s, (unsigned)i);
        const char *text = config_setting_get_string(elem);

        if (text == NULL) {
            return refuse(r, s, "allowed: [ \"NAME:KEY=VALUE\", ... ], lowest first");
        }
        format_place(r, elem, place);
        rc = config_items_add(items, key, text, place, r->e);
    }
    return rc;
}

static int
add_key(const struct file_reader *r, const config_setting_t *s,
        struct config_items *items)
{
    const struct config_row *row =
        config_rows_find(config_disk_keys, config_setting_name(s), true);
    char place[PLACE_LEN], number[32];
    const char *text;

    if (row != NULL && row->form == CONFIG_LIST) {
        return add_list(r, row->word, s, items);
    }
    text = scalar_text(s, number);
    if (text == NULL) {
        return refuse(r, s,
                      "allowed: a text in double quotes, a whole number, or "
                      "true or false");
    }
    format_place(r, s, place);
    return config_items_add(items, config_setting_name(s), text, place, r->e);
}

static int
apply_group(const struct file_reader *r, const struct config_row *row,
            const config_setting_t *s)
{
    struct config_items items = {0};
    char place[PLACE_LEN];
    int rc = 0;

    if (!config_setting_is_group(s)) {
        return refuse(r, s, "a disk is a group; allowed: { name = \"...\"; ... }");
    }
    for (int i = 0; rc == 0 && i < config_setting_length(s); i++) {
        rc = add_key(r, config_setting_get_elem(s, (unsigned)i), &items);
    }
    if (rc == 0) {
        format_place(r, s, place);
        rc = row->add(r->config, &items, place, r->e);
    }
    config_items_done(&items);
    return rc;
}

static int
apply_groups(const struct file_reader *r, const struct config_row *row,
             const config_setting_t *s)
{
    int rc = 0;

    if (!config_setting_is_list(s)) {
        return refuse(r, s, "allowed: a list of groups ( { ... }, { ... } )");
    }
    for (int i = 0; rc == 0 && i < config_setting_length(s); i++) {
        rc = apply_group(r, row, config_setting_get_elem(s, (unsigned)i));
    }
    return rc;
}

static int
refuse_unknown(const struct file_reader *r, const config_setting_t *s)
{
    char list[CONFIG_LIST_LEN], sentence[CONFIG_LIST_LEN + 32];

    config_rows_list(config_settings, true, list, sizeof list);
    (void)snprintf(sentence, sizeof sentence, "unknown setting; allowed: %s", list);
    return refuse(r, s, sentence);
}

static int
apply_setting(const struct file_reader *r, const config_setting_t *s)
{
    const struct config_row *row =
        config_rows_find(config_settings, config_setting_name(s), true);

    if (row == NULL) {
        return refuse_unknown(r, s);
    }
    switch (row->form) {
    case CONFIG_TEXT:
        return apply_string(r, row, s);
    case CONFIG_TEXTS:
        return apply_strings(r, row, s);
    case CONFIG_SWITCH:
        return apply_scalar(r, row, s, "allowed: true or false");
    case CONFIG_ID:
        return apply_scalar(r, row, s, "allowed: a name in double quotes, or a number");
    case CONFIG_GROUPS:
        return apply_groups(r, row, s);
    case CONFIG_SCALAR: /* of a disk */
    case CONFIG_LIST:
    case CONFIG_NOT_IN_FILE: /* is not found */
        break;
    }
    abort();
}

/* The whole file as a string of its own. */
static int
read_text(const char *path, struct err *e, char **ret_text)
{
    AUTO_FREE char *text = NULL;
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    size_t have = 0;
    ssize_t n = 1;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_set(e, -EINVAL, "cannot read %.400s: %s", path,
                       strerrordesc_np(errno));
    }
    if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE_SIZE) {
        return err_set(e, -EINVAL,
                       "cannot read %.400s; allowed: a regular file of at most 16 MiB",
                       path);
    }
    text = malloc((size_t)st.st_size + 1);
    if (text == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    while (n > 0 && have < (size_t)st.st_size) {
        n = read(fd, text + have, (size_t)st.st_size - have);
        have += n > 0 ? (size_t)n : 0;
    }
    if (n < 0) {
        return err_set(e, -EINVAL, "cannot read %.400s: %s", path,
                       strerrordesc_np(errno));
    }
    text[have] = '\0';
    if (strlen(text) != have) {
        return err_set(e, -EINVAL, "%.400s has a zero byte; allowed: text", path);
    }
    *ret_text = TAKE(text);
    return 0;
}

int
config_file_apply(struct service_config *c, const char *path, const char *where,
                  struct err *e)
{
    const struct file_reader r = {.config = c, .path = path, .e = e};
    AUTO_FREE char *text = NULL;
    const config_setting_t *root;
    config_t file;
    int rc = read_text(path, e, &text);

    if (rc < 0) {
        return err_prefix(e, rc, "%s", where);
    }
    config_init(&file);
    if (config_read_string(&file, text) != CONFIG_TRUE) {
        const char *name = config_error_file(&file);

        rc = err_set(e, -EINVAL, "%.400s:%d: %s", name != NULL ? name : path,
                     config_error_line(&file), config_error_text(&file));
    }
    root = config_root_setting(&file);
    for (int i = 0; rc == 0 && i < config_setting_length(root); i++) {
        rc = apply_setting(&r, config_setting_get_elem(root, (unsigned)i));
    }
    config_destroy(&file);
    return rc;
}
