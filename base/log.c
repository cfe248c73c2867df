/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
    char line[2048];
    int n = 0, m;

    if (trace_on) { /* so that it can be put between the lines of the trace */
        n = snprintf(line, sizeof line - 1, "t_us=%" PRIu64 " ",
                     clock_now_ns() / NS_PER_US);
    }
    n += snprintf(line + n, sizeof line - 1 - (size_t)n, "baton: %s%s%s", log_name,
                  log_name[0] != '\0' ? ": " : "", level);
    m = vsnprintf(line + n, sizeof line - 1 - (size_t)n, fmt, ap);
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
