/* SPDX-License-Identifier: BSD-3-Clause */
/* err.h - the sentence that goes with a -errno on the control path.
 *
 * A struct err is filled once, where the cause is known, and prefixed on the way up.
 * The data path never uses it. Every function accepts e == NULL. Not thread-safe:
 * one err belongs to one call chain. */
#ifndef BATON_ERR_H
#define BATON_ERR_H

#include <stddef.h>

struct err {
    char msg[1024]; /* one sentence without a final newline; "" when nothing is set */
};

/* Set the sentence and return rc, so that a caller can write
 * "return err_set(e, -EINVAL, ...)". rc is 0 > rc > -4096. A sentence that does not
 * fit is cut, never overrun. */
int err_set(struct err *e, int rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "<text>: " in front of what is there and return rc. */
int err_prefix(struct err *e, int rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The sentence, or the system's text for rc when none was set. Never NULL; valid until
 * e changes. */
const char *err_text(const struct err *e, int rc);

#endif
