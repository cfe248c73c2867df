/* SPDX-License-Identifier: BSD-3-Clause */
#include "layer_param.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

static bool
is_known(const char *const *keys, const char *key)
{
    while (*keys != NULL && strcmp(*keys, key) != 0) {
        keys++;
    }
    return *keys != NULL;
}

int
layer_param_check(const struct layer_type *type, const char *const *keys,
                  const struct layer_param *params, unsigned nr, struct err *e)
{
    unsigned i;

    for (i = 0; i < nr; i++) {
        if (!is_known(keys, params[i].key)) {
            return err_set(e, -EINVAL, "unknown parameter \"%s\"; allowed: %s",
                           params[i].key, type->params);
        }
        if (layer_param_get(params, i, params[i].key) != NULL) {
            return err_set(e, -EINVAL, "%s is given twice", params[i].key);
        }
        if (params[i].value[0] == '\0') {
            return err_set(e, -EINVAL, "%s has no value; allowed: %s", params[i].key,
                           type->params);
        }
    }
    return 0;
}

const char *
layer_param_get(const struct layer_param *params, unsigned nr, const char *key)
{
    unsigned i;

    for (i = 0; i < nr; i++) {
        if (strcmp(params[i].key, key) == 0) {
            return params[i].value;
        }
    }
    return NULL;
}

/* Digits only: strtoull would take blanks, signs and an empty text. */
static int
parse_digits(const char **s, uint64_t *ret_number)
{
    uint64_t n = 0;
    const char *p = *s;

    if (*p < '0' || *p > '9') {
        return -EINVAL;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n)) {
            return -ERANGE;
        }
    }
    *s = p;
    *ret_number = n;
    return 0;
}

int
layer_param_number(const char *key, const char *value, uint64_t min, uint64_t max,
                   struct err *e, uint64_t *ret_number)
{
    const char *s = value;
    uint64_t n;

    if (parse_digits(&s, &n) < 0 || *s != '\0' || n < min || n > max) {
        return err_set(e, -EINVAL,
                       "%s=%s: must be a whole number from %" PRIu64 " to %" PRIu64,
                       key, value, min, max);
    }
    *ret_number = n;
    return 0;
}

int
layer_param_bytes(const char *key, const char *value, struct err *e,
                  uint64_t *ret_bytes)
{
    static const char suffixes[] = "KMGT";
    const char *s = value, *suffix;
    uint64_t n, unit = 1;
    int rc = parse_digits(&s, &n);

    if (rc == 0 && *s != '\0') {
        suffix = strchr(suffixes, *s);
        if (suffix == NULL || s[1] != '\0') {
            rc = -EINVAL;
        } else {
            unit = UINT64_C(1) << (10 * (suffix - suffixes + 1));
        }
    }
    if (rc < 0 || __builtin_mul_overflow(n, unit, &n)) {
        return err_set(e, -EINVAL,
                       "%s=%s: must be a number of bytes below 2^64, as in 512, 64K, "
                       "1M, 10G or 1T",
                       key, value);
    }
    *ret_bytes = n;
    return 0;
}
