/* SPDX-License-Identifier: BSD-3-Clause */
/* handoff_all.h - every disk that the service owns to one other service, the disks of a
 * VM together, several handoffs at a time. Each of them is one like any other
 * (handoff.h): what cannot be handed over stays, and the rest goes on. */
#ifndef BATON_HANDOFF_ALL_H
#define BATON_HANDOFF_ALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "err.h"
#include "service.h"
#include "words.h"

#define HANDOFF_ALL_PARALLEL 16

struct handoff_all_request {
    const char *to;
    uint64_t deadline_ns, budget_ns; /* of each, as in struct handoff_request */
    unsigned parallel;               /* 1..HANDOFF_ALL_MAX_PARALLEL */
    const _Atomic bool *is_over;     /* NULL, or: begin no other one once it is true;
                                      * seq_cst, no speed is needed */
};

/* After each handoff; runs on the caller's thread. */
struct handoff_all_progress {
    unsigned nr, handed, stayed; /* targets: VMs, and disks without one */
    const char *latest;          /* "" at the beginning */
    uint64_t elapsed_us;
};
typedef void (*handoff_all_on_progress)(void *opaque,
                                        const struct handoff_all_progress *p);

/* Returns when the last has ended: 0 and {target, from, to, outcome, disks, elapsed_us,
 * handoffs, stayed}: the reports of the handoffs, and {target, errno, reason} of each
 * that did not end well. outcome is "done" when nothing stayed, "committed" when what
 * stayed is on its way (-EINPROGRESS of handoff_run), else "partly". -ENOMEM, -EAGAIN:
 * nothing was begun. */
int handoff_all(struct service *s, const struct handoff_all_request *rq,
                handoff_all_on_progress on_progress, void *opaque, struct err *e,
                json_t **ret_report);

/* Abort every handoff that is running and not committed. */
void handoff_all_abort(struct service *s);

#endif
