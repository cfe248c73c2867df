/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_params.h"

#include <errno.h>
#include <string.h>

int
rpc_params_check(json_t *params, const char *const *allowed, struct err *e)
{
    const char *key;
    json_t *value;

    json_object_foreach(params, key, value)
    {
        const char *const *a = allowed;

        while (*a != NULL && strcmp(*a, key) != 0) {
            a++;
        }
        if (*a == NULL) {
            return err_set(e, -EBADMSG, "unknown parameter \"%.64s\"", key);
        }
    }
    return 0;
}
