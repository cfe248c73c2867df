/* SPDX-License-Identifier: BSD-3-Clause */
#include "req_trace.h"

#include <inttypes.h>

#include "channel_name.h"
#include "trace.h"

void
req_trace(const char *event, const char *whom, const struct req *rq)
{
    if (trace_on) {
        trace_write("event=%s for=%.*s op=%s off=%" PRIu64 " len=%" PRIu32 " fua=%d",
                    event, channel_name_shown(whom), whom, req_op_name(rq->op), rq->off,
                    rq->len, (rq->flags & REQ_F_FUA) != 0);
    }
}
