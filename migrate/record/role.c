/* SPDX-License-Identifier: BSD-3-Clause */
/* The words for roles. */
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
