/* SPDX-License-Identifier: BSD-3-Clause */
/* cli_report.h - what handoff, park, unpark and abort tell people: one line on standard
 * error that is updated while the command runs, and one sentence for each disk on
 * standard output when it is done. Prefix: report_*. */
#ifndef BATON_CLI_REPORT_H
#define BATON_CLI_REPORT_H

#include <stdbool.h>

#include <jansson.h>

struct report_progress {
    const char *target; /* what the command was asked for */
    bool is_shown;      /* standard error is a terminal, and there is no --quiet */
    bool has_line;      /* there is a line to wipe */
};

/* An rpc_on_notify; opaque is a struct report_progress. */
void report_notification(void *opaque, const char *method, json_t *params);
void report_progress_end(struct report_progress *p);

/* verb is the command, target its argument. */
void report_result(const char *verb, const char *target, const json_t *result);

/* For "handoff all": one sentence on standard error for each disk or VM that stayed,
 * and the sum on standard output unless is_terse. Returns the status to end with. */
int report_all(const char *verb, const json_t *result, bool is_terse);

#endif
