/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "clock.h"
#include "config.h"

int
config_text_check(const char *s, struct err *e)
{
    json_t *as_json;

    if (s[0] == '\0') {
        return err_set(e, -EINVAL, "is empty; allowed: a value");
    }
    for (const char *p = s; *p != '\0'; p++) {
        if (iscntrl((unsigned char)*p)) {
            return err_set(e, -EINVAL,
                           "has a control character; allowed: printable text");
        }
    }
    as_json = json_string(s); /* NULL for what is not UTF-8 */
    if (as_json == NULL) {
        return err_set(e, -EINVAL, "is not UTF-8; allowed: UTF-8 text");
    }
    json_decref(as_json);
    return 0;
}

int
config_text_switch(const char *s, bool *ret_is_on)
{
    bool is_on = strcmp(s, "on") == 0;

    if (!is_on && strcmp(s, "off") != 0) {
        return -EINVAL;
    }
    *ret_is_on = is_on;
    return 0;
}

int
config_text_path(const char *s, struct err *e)
{
    if (s[0] != '/' || strlen(s) >= PATH_MAX) {
        return err_set(e, -EINVAL,
                       "\"%.100s\": allowed: an absolute path of at most %d bytes", s,
                       PATH_MAX - 1);
    }
    return 0;
}

int
config_text_refuse_second(const char *before, struct err *e)
{
    return err_set(e, -EINVAL, "is given twice (before: %.100s); allowed: once",
                   before);
}

int
config_text_keep(char **slot, const char *value, struct err *e)
{
    if (*slot != NULL) {
        return config_text_refuse_second(*slot, e);
    }
    *slot = strdup(value);
    return *slot != NULL ? 0 : err_set(e, -ENOMEM, "out of memory");
}

int
config_parse_duration(const char *s, struct err *e, uint64_t *ret_ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"us", NS_PER_US}, {"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}};
    unsigned long long n;
    char *end;

    errno = 0;
    n = strtoull(s, &end, 10);
    if (isdigit((unsigned char)s[0]) && errno == 0) {
        if (n == 0 && *end == '\0') {
            *ret_ns = 0;
            return 0;
        }
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            if (strcmp(end, units[i].name) == 0 && n < CLOCK_NEVER / units[i].ns) {
                *ret_ns = n * units[i].ns;
                return 0;
            }
        }
    }
    return err_set(
        e, -EINVAL,
        "\"%.100s\" is not a duration; allowed: a number with us, ms, s or m "
        "(500ms, 30s), or 0",
        s);
}
