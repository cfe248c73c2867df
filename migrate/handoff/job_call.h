/* SPDX-License-Identifier: BSD-3-Clause */
/* job_call.h - private to migrate/handoff: calls to the next owner, by the job's
 * thread. */
#ifndef BATON_JOB_CALL_H
#define BATON_JOB_CALL_H

#include "job.h"

struct job_question {
    const char *method;
    json_t *params; /* the call's */
    uint64_t timeout_ns;
    rpc_on_notify on_notify; /* gets the job; NULL: notifications are not looked at */
};

/* One RPC to the next owner, on a new connection if there is none or it turns out to be
 * dead. As rpc_call(). */
int job_call(struct job *j, const struct job_question *q, struct err *e, int *ret_code,
             json_t **ret_result);

/* The same on the connection that PREPARE was answered on, and on no other, until the
 * commit: who has been started again meanwhile has not been asked, and may have another
 * device. The sentence of an error without a code says that it has gone. */
int job_call_asked(struct job *j, const struct job_question *q, struct err *e,
                   int *ret_code, json_t **ret_result);

/* A time in an answer, in ns; 0 when it does not say one. */
uint64_t job_call_us(const json_t *answer, const char *key);

#endif
