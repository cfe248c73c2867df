/* SPDX-License-Identifier: BSD-3-Clause */
/* job_report.h - private to migrate/handoff: what is said at the end. */
#ifndef BATON_JOB_REPORT_H
#define BATON_JOB_REPORT_H

#include "job.h"

/* The fields of "handoff --json". */
json_t *job_report(struct job *j, const char *outcome);

#endif
