/* SPDX-License-Identifier: BSD-3-Clause */
/* handoff.h - handoffs that this service drives, because it owns the disks. A handoff
 * runs on a thread of its own: whoever asked for it may go away, and whoever asks for
 * the same again attaches to it. */
#ifndef BATON_HANDOFF_H
#define BATON_HANDOFF_H

#include <stdint.h>

#include <jansson.h>

#include "err.h"
#include "handoff_phase.h"
#include "service.h"
#include "target.h"

struct handoff_table;
int handoff_table_new(struct handoff_table **ret_t);

/* What kind of job a handoff is. */
enum job_kind {
    JOB_HAND_OVER,      /* disks that are owned here, to another service */
    JOB_PARK,           /* disks that are owned here, to nobody */
    JOB_HAND_ON_PARKED, /* disks that are parked here, to another service */
    /* After a restart: what one of these has committed, told again. */
    JOB_RESUME_HAND_OVER,
    JOB_RESUME_HAND_ON_PARKED,
};

/* kind: a person asks for JOB_HAND_OVER, which becomes JOB_HAND_ON_PARKED when each of
 * the disks is parked, or for JOB_PARK. */
struct handoff_request {
    enum job_kind kind;
    struct target target;
    const char *to;       /* control URI of the next owner; not of JOB_PARK */
    uint64_t deadline_ns; /* length of HOLD..FLUSH */
    uint64_t budget_ns;   /* refuse when the predicted stall is longer; CLOCK_NEVER */
};

/* What a waiting caller is told; runs on its thread. elapsed since PREPARE began. */
typedef void (*handoff_on_progress)(void *opaque, enum handoff_phase phase,
                                    const char *detail, uint64_t elapsed_us);

/* Begin, or attach to the same one that is running, and wait until it ends.
 * 0 and the report. -EBUSY: another handoff of one of the disks is running; -ENOENT: no
 * such disk; -EPERM: not the owner; -EINPROGRESS: committed, but the next owner does
 * not answer: the service goes on; other: refused or aborted, nothing changed. */
int handoff_run(struct service *s, const struct handoff_request *rq,
                handoff_on_progress on_progress, void *opaque, struct err *e,
                json_t **ret_report);

/* Abort the running handoff of target and wait until it has ended, with nothing
 * changed. -ENOENT: none; -EALREADY: it is committed; -EBUSY: it will end, but has not
 * after some seconds, and e says what it waits for. */
int handoff_abort(struct service *s, const struct target *target,
                  handoff_on_progress on_progress, void *opaque, struct err *e);

/* The same without waiting. */
int handoff_ask_abort(struct service *s, const struct target *target, struct err *e);

/* Tell the owner of every disk that was given away that it is: after a restart, or when
 * a take failed that had abandoned the handoff. Disks that are busy are left alone. */
int handoff_resume(struct service *s, struct err *e);

/* Stop asking the next owner of d, which does not answer. 0: the caller has the claims
 * of all disks that were handed with d, and each has its channel as port B. -ENOENT: no
 * handoff of d is going on; -EBUSY: it is not committed; -EALREADY: the next owner has
 * answered. May block for 40 s while a question is on its way. */
int handoff_abandon(struct service *s, struct disk *d, struct err *e);

/* Own the disks of target that are parked here again. */
int handoff_unpark(struct service *s, const struct target *target, struct err *e,
                   json_t **ret_report);

/* What a handoff is at. */
struct handoff_now {
    enum handoff_phase phase;
    uint64_t phase_us; /* since it began */
    bool is_abort_wanted;
    char detail[256]; /* what it waits for; "" when it is not known to wait */
};

/* Is there one of this disk? */
bool handoff_now_of(struct service *s, const struct disk *d,
                    struct handoff_now *ret_now);

#endif
