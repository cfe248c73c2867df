/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_ask.h"

#include "clock.h"
#include "rpc.h"

static uint64_t
next_deadline_ns(struct peer_patience p)
{
    return clock_earlier(p.deadline_ns, clock_deadline_ns(p.each_ns));
}

/* NOLINTBEGIN(readability-function-size): as rpc_call() */
int
peer_ask(const struct uri *u, const char *method, json_t *params,
         struct peer_patience patience, struct err *e, int *ret_code,
         json_t **ret_result)
/* NOLINTEND(readability-function-size) */
{
    struct rpc_client *client;
    int rc = rpc_client_open(u, next_deadline_ns(patience), e, &client);

    if (rc < 0) {
        if (ret_code != NULL) {
            *ret_code = 0;
        }
        json_decref(params);
        return rc;
    }
    rc = rpc_call(client, method, params, NULL, NULL, next_deadline_ns(patience), e,
                  ret_code, ret_result);
    rpc_client_close(client);
    return rc;
}
