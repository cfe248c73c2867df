/* SPDX-License-Identifier: BSD-3-Clause */
#include "job_call.h"

#include <errno.h>

#include "clock.h"

#define CONNECT_TIMEOUT_NS (5 * NS_PER_S)

/* From now on an abort can break off what is asked; or, c being NULL, not any more.
 * -ECANCELED: it is wanted already. */
static int
set_peer(struct job *j, struct rpc_client *c, struct err *e)
{
    LK_GUARD(&j->lock);

    j->peer = c;
    job_locked(j)->peer_fd = c != NULL ? rpc_client_fd(c) : -1;
    if (c != NULL && job_locked(j)->wish == JOB_ABORT &&
        job_locked(j)->stage == JOB_OPEN) {
        return err_set(e, -ECANCELED, "aborted on request");
    }
    return 0;
}

static int
call(struct job *j, const struct job_question *q, struct err *e, int *ret_code,
     json_t **ret_result)
{
    return rpc_call(j->peer, q->method, json_incref(q->params), q->on_notify, j,
                    clock_deadline_ns(q->timeout_ns), e, ret_code, ret_result);
}

/* On the connection that there is: -ECONNRESET: there is none, or it has just turned
 * out to be dead, and is closed. */
static int
call_again(struct job *j, const struct job_question *q, struct err *e, int *ret_code,
           json_t **ret_result)
{
    struct rpc_client *old = j->peer;
    int rc;

    if (old == NULL) {
        return -ECONNRESET;
    }
    rc = call(j, q, e, ret_code, ret_result);
    if (rc < 0 && *ret_code == 0) { /* no answer: it is of no more use */
        (void)set_peer(j, NULL, NULL);
        rpc_client_close(old);
    }
    return rc;
}

static int
call_anew(struct job *j, const struct job_question *q, struct err *e, int *ret_code,
          json_t **ret_result)
{
    struct rpc_client *new = NULL;
    int rc = rpc_client_open(&j->to, clock_deadline_ns(CONNECT_TIMEOUT_NS), e, &new);

    if (rc == 0) {
        rc = set_peer(j, new, e);
    }
    return rc == 0 ? call(j, q, e, ret_code, ret_result) : rc;
}

int
job_call(struct job *j, const struct job_question *q, struct err *e, int *ret_code,
         json_t **ret_result)
{
    int rc = call_again(j, q, e, ret_code, ret_result);

    if (j->peer == NULL && rc == -ECONNRESET) {
        rc = call_anew(j, q, e, ret_code, ret_result);
    }
    json_decref(q->params);
    return rc;
}

int
job_call_asked(struct job *j, const struct job_question *q, struct err *e,
               int *ret_code, json_t **ret_result)
{
    int rc = call(j, q, e, ret_code, ret_result);

    json_decref(q->params);
    if (rc < 0 && *ret_code == 0) {
        return err_prefix(e, rc, "%s answered before and is gone now",
                          j->next[0].peer_name);
    }
    return rc;
}

uint64_t
job_call_us(const json_t *answer, const char *key)
{
    json_int_t us = json_integer_value(json_object_get(answer, key));

    return us > 0 && us < (json_int_t)(UINT64_MAX / NS_PER_US / 2)
               ? (uint64_t)us * NS_PER_US
               : 0;
}
