/* SPDX-License-Identifier: BSD-3-Clause */
/* peer_ask.h - one question to another service, on a connection of its own. */
#ifndef BATON_PEER_ASK_H
#define BATON_PEER_ASK_H

#include <stdint.h>

#include <jansson.h>

#include "err.h"
#include "uri.h"

/* How long it may take: to connect and to answer each no longer than each_ns
 * (CLOCK_NEVER: no such bound), and none of them beyond deadline_ns. */
struct peer_patience {
    uint64_t each_ns, deadline_ns;
};

/* Ask the service that is controlled at u; steals params. 0 and a new reference in
 * *ret_result; otherwise what rpc_client_open() or rpc_call() says, *ret_code (may be
 * NULL) as of the latter: 0 unless the service itself says no. */
int peer_ask(const struct uri *u, const char *method, json_t *params,
             struct peer_patience patience, struct err *e, int *ret_code,
             json_t **ret_result);

#endif
