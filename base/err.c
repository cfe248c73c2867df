/* SPDX-License-Identifier: BSD-3-Clause */
#include "err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
err_set(struct err *e, int rc, const char *fmt, ...)
{
    va_list ap;

    assert(rc < 0 && rc > -4096);
    if (e == NULL) {
        return rc;
    }
    va_start(ap, fmt);
    (void)vsnprintf(e->msg, sizeof e->msg, fmt, ap); /* cut is fine */
    va_end(ap);
    return rc;
}

int
err_prefix(struct err *e, int rc, const char *fmt, ...)
{
    char old[sizeof e->msg];
    va_list ap;
    int n;

    if (e == NULL) {
        return rc;
    }
    memcpy(old, e->msg, sizeof old);
    va_start(ap, fmt);
    n = vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n + 2 < sizeof e->msg) {
        size_t at = (size_t)n + 2, len = strnlen(old, sizeof e->msg - 1 - at);

        memcpy(e->msg + n, ": ", 2);
        memcpy(e->msg + at, old, len); /* cut is fine */
        e->msg[at + len] = '\0';
    }
    return rc;
}

const char *
err_text(const struct err *e, int rc)
{
    const char *name;

    if (e != NULL && e->msg[0] != '\0') {
        return e->msg;
    }
    name = strerrordesc_np(-rc); /* static storage, unlike strerror(): thread-safe */
    return name != NULL ? name : "unknown error";
}
