/* SPDX-License-Identifier: BSD-3-Clause */
/* control.h - the methods of the control socket; docs/control-protocol.md. ctx is the
 * struct service. */
#ifndef BATON_CONTROL_H
#define BATON_CONTROL_H

#include <jansson.h>

#include "err.h"
#include "rpc.h"

/* Refuse members that a method does not know, with -EBADMSG: a misspelt one must not be
 * ignored. allowed ends with NULL. */
int control_check_members(json_t *params, const char *const *allowed, struct err *e);

extern const struct rpc_method control_methods[];

#endif
