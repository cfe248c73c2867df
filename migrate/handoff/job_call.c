/* SPDX-License-Identifier: BSD-3-Clause */
#include "job_call.h"

#include <errno.h>

#include "clock.h"

#define CONNECT_TIMEOUT_NS (5 * NS_PER_S)

/* From now on an abort can break off what is asked; or, c being NULL, not any more.
 * -ECANCELED: it is wanted already. */
static int
set_peer(struct handoff *h, struct rpc_client *c, struct err *e)
{
    LK_GUARD(&h->lock);

    h->peer = c;
    job_locked(h)->peer_fd = c != NULL ? rpc_client_fd(c) : -1;
    return c != NULL && job_locked(h)->is_abort_wanted &&
                   !job_locked(h)->is_rolling_back
               ? err_set(e, -ECANCELED, "aborted on request")
               : 0;
}

/* NOLINTBEGIN(readability-function-size): as rpc_call() */
int
job_call(struct handoff *h, const char *method, json_t *params, uint64_t timeout_ns,
         struct err *e, int *ret_code, json_t **ret_result)
/* NOLINTEND(readability-function-size) */
{
    int rc = -ECONNRESET;

    if (h->peer != NULL) {
        rc = rpc_call(h->peer, method, json_incref(params), job_hear, h,
                      clock_deadline_ns(timeout_ns), e, ret_code, ret_result);
        if (*ret_code == 0 &&
            rc < 0) { /* no answer: the connection is of no more use */
            struct rpc_client *old = h->peer;

            (void)set_peer(h, NULL, NULL);
            rpc_client_close(old);
        }
    }
    if (h->peer == NULL && rc == -ECONNRESET) {
        struct rpc_client *new = NULL;

        rc = rpc_client_open(&h->to, clock_deadline_ns(CONNECT_TIMEOUT_NS), e, &new);
        rc = rc == 0 ? set_peer(h, new, e) : rc;
        if (rc == 0) {
            rc = rpc_call(h->peer, method, json_incref(params), job_hear, h,
                          clock_deadline_ns(timeout_ns), e, ret_code, ret_result);
        }
    }
    json_decref(params);
    return rc;
}

/* NOLINTBEGIN(readability-function-size): as rpc_call() */
int
job_call_asked(struct handoff *h, const char *method, json_t *params,
               uint64_t timeout_ns, struct err *e, int *ret_code, json_t **ret_result)
/* NOLINTEND(readability-function-size) */
{
    int rc = rpc_call(h->peer, method, params, NULL, NULL,
                      clock_deadline_ns(timeout_ns), e, ret_code, ret_result);

    return rc < 0 && *ret_code == 0
               ? err_prefix(e, rc, "%s has gone since it was asked",
                            h->next[0].peer_name)
               : rc;
}

uint64_t
job_us_of(const json_t *answer, const char *key)
{
    json_int_t us = json_integer_value(json_object_get(answer, key));

    return us > 0 && us < (json_int_t)(UINT64_MAX / NS_PER_US / 2)
               ? (uint64_t)us * NS_PER_US
               : 0;
}
