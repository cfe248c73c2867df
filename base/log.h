/* SPDX-License-Identifier: BSD-3-Clause */
/* log.h - lines for people, on standard error: "baton: <service>: <sentence>".
 * Library folders (base, port, stack, redirector) do not log; they return errors.
 * Safe on any thread; a line is one write(2), so lines never mix. Do not call it with
 * a lock held. */
#ifndef BATON_LOG_H
#define BATON_LOG_H

/* The service's name, printed in every line. The string is copied (63 bytes at most).
 * Call once, before threads start. */
void log_set_name(const char *name);

void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
