/* SPDX-License-Identifier: BSD-3-Clause */
/* Roles and names: the words of records. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "record.h"

static const char *const role_names[ROLE_NR] = {
    [ROLE_OWNER] = "owner",
    [ROLE_STANDBY] = "standby",
    [ROLE_GIVEN] = "given",
    [ROLE_PARKED] = "parked",
};

const char *
role_name(enum role r)
{
    assert((unsigned)r < ROLE_NR);
    return role_names[r];
}

int
role_parse(const char *s, enum role *ret_role)
{
    for (unsigned i = 0; i < ROLE_NR; i++) {
        if (strcmp(s, role_names[i]) == 0) {
            *ret_role = (enum role)i;
            return 0;
        }
    }
    return -EINVAL;
}

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
