/* SPDX-License-Identifier: BSD-3-Clause */
/* rpc_params.h - the parameters that a method was called with. */
#ifndef BATON_RPC_PARAMS_H
#define BATON_RPC_PARAMS_H

#include <jansson.h>

#include "err.h"

/* Refuse members that a method does not know, with -EBADMSG: a misspelt one must not be
 * ignored. allowed ends with NULL. */
int rpc_params_check(json_t *params, const char *const *allowed, struct err *e);

#endif
