/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

bool trace_on;

void
trace_init(void)
{
    const char *v = getenv("BATON_TRACE"); /* NOLINT(concurrency-mt-unsafe):
                                            * before threads start */

    trace_on = v != NULL && strcmp(v, "1") == 0;
}

void
trace_line(const char *before, const char *fmt, va_list ap)
{
    char line[2048];
    int n = snprintf(line, sizeof line - 1, "%.256s", before);
    int m = vsnprintf(line + n, sizeof line - 1 - (size_t)n, fmt, ap);

    if (m < 0) {
        return;
    }
    n += m;
    if ((size_t)n > sizeof line - 2) {
        n = (int)sizeof line - 2;
    }
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)n) < 0) {
        return; /* nobody to tell */
    }
}

void
trace_write(const char *fmt, ...)
{
    char before[64];
    va_list ap;

    (void)snprintf(before, sizeof before, "trace: t_us=%" PRIu64 " ",
                   clock_now_ns() / NS_PER_US);
    va_start(ap, fmt);
    trace_line(before, fmt, ap);
    va_end(ap);
}
