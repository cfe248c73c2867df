/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.h - state changes as key=value lines on standard error, off unless the
 * environment has BATON_TRACE=1. One flag test when off. Not for the data path. */
#ifndef BATON_TRACE_H
#define BATON_TRACE_H

#include <stdarg.h>
#include <stdbool.h>

extern bool trace_on; /* set once by trace_init(), read-only afterwards */

void trace_init(void);
void trace_write(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A line on standard error, begun by before; a long one is cut. It is one write(2), so
 * lines of threads do not mix. Log and trace write theirs with it. */
void trace_line(const char *before, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* what = which kind of object, id = which one. */
static inline void
trace_state(const char *what, const char *id, const char *from, const char *to)
{
    if (trace_on) {
        trace_write("event=state what=%s id=%s from=%s to=%s", what, id, from, to);
    }
}

static inline void
trace_refused(const char *what, const char *id, const char *from, const char *to)
{
    if (trace_on) {
        trace_write("event=refused what=%s id=%s from=%s to=%s", what, id, from, to);
    }
}

#endif
