/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "clock.h"
#include "trace.h"

static char log_name[64];

void
log_set_name(const char *name)
{
    (void)snprintf(log_name, sizeof log_name, "%s", name);
}

static void __attribute__((format(printf, 2, 0)))
log_line(const char *level, const char *fmt, va_list ap)
{
    char stamp[32] = "", before[160];

    if (trace_on) { /* so that it can be put between the lines of the trace */
        (void)snprintf(stamp, sizeof stamp, "t_us=%" PRIu64 " ",
                       clock_now_ns() / NS_PER_US);
    }
    (void)snprintf(before, sizeof before, "%sbaton: %s%s%s", stamp, log_name,
                   log_name[0] != '\0' ? ": " : "", level);
    trace_line(before, fmt, ap);
}

void
log_info(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_line("", fmt, ap);
    va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_line("warning: ", fmt, ap);
    va_end(ap);
}

void
log_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_line("error: ", fmt, ap);
    va_end(ap);
}
