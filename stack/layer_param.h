/* SPDX-License-Identifier: BSD-3-Clause */
/* layer_param.h - reading the parameters of a layer. Errors are -EINVAL and a sentence
 * that names the parameter and what is allowed. */
#ifndef BATON_LAYER_PARAM_H
#define BATON_LAYER_PARAM_H

#include "layer.h"

/* Is every key one of keys (ends with NULL), none of them twice, and no value empty? */
int layer_param_check(const struct layer_type *type, const char *const *keys,
                      const struct layer_param *params, unsigned nr, struct err *e);

/* The value of key, NULL when it is not among them. */
const char *layer_param_get(const struct layer_param *params, unsigned nr,
                            const char *key);

/* A decimal number, min..max. */
int layer_param_number(const char *key, const char *value, uint64_t min, uint64_t max,
                       struct err *e, uint64_t *ret_number);

/* The same, in bytes, with an optional K, M, G or T (powers of 1024); any uint64_t. */
int layer_param_bytes(const char *key, const char *value, struct err *e,
                      uint64_t *ret_bytes);

#endif
