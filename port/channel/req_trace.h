/* SPDX-License-Identifier: BSD-3-Clause */
/* req_trace.h - a request in the trace: event=... for=whom op=... off=... len=... */
#ifndef BATON_REQ_TRACE_H
#define BATON_REQ_TRACE_H

#include "port.h"

/* If traces are on; not for requests that nothing has happened to. */
void req_trace(const char *event, const char *whom, const struct req *rq);

#endif
