/* SPDX-License-Identifier: BSD-3-Clause */
#include "name.h"

#include <stddef.h>
#include <string.h>

bool
name_is_valid(const char *s)
{
    size_t len = 0;

    for (; s[len] != '\0'; len++) {
        char c = s[len];
        bool is_alnum =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (len == NAME_MAX_LEN ||
            (!is_alnum && (len == 0 || strchr("._-", c) == NULL))) {
            return false;
        }
    }
    return len > 0;
}

bool
uuid_is_valid(const char *s)
{
    size_t i;

    for (i = 0; s[i] != '\0'; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool is_hex = (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f');

        if (i >= 36 || (is_dash ? s[i] != '-' : !is_hex)) {
            return false;
        }
    }
    return i == 36;
}
