/* SPDX-License-Identifier: BSD-3-Clause */
/* job.h - private to migrate/handoff: one running handoff.
 *
 * The job's thread is the only one that calls the steps and touches the fields above
 * the lock. A step returns 0, or a negative errno and a sentence; the thread decides
 * what follows (engine.c). What holds after a step failed:
 *   prepare   nothing has happened; the next owner was told to forget it
 *   hold      )
 *   drain     ) the gates are opened again to port A; nothing else happened
 *   flush     )
 *   eject     ) the record was not written: the same
 *   assign    refused: taken back at epoch N+2; no answer: goes on asking
 *   replay    cannot fail; may last as long as the next owner is away
 * Of disks that are parked here: see step_parked.h. */
#ifndef BATON_JOB_H
#define BATON_JOB_H

#include <sys/queue.h>

#include "clock.h"
#include "disk.h"
#include "handoff.h"
#include "identity.h"
#include "load.h"
#include "lock.h"
#include "retry.h"
#include "rpc.h"
#include "uri.h"

#define JOB_RETRY_MAX_NS RETRY_MAX_NS /* of what must not be given up; see retry.h */

/* How far it is, for whoever would stop it. */
enum job_stage {
    JOB_OPEN,         /* nothing is committed: it may be aborted */
    JOB_COMMITTING,   /* too late for an abort; the record is being written */
    JOB_ROLLING_BACK, /* nothing is; the next owner may be asked in spite of an abort */
    JOB_COMMITTED,    /* the next owner is asked; that may be abandoned */
    JOB_ABANDONED,    /* it is not asked any more; the disks stay claimed at the end,
                       * for whoever wished it */
    JOB_ANSWERED,     /* ASSIGN is over, too late for that */
};
#define JOB_NR_STAGES 6

/* What somebody else wants of it. */
enum job_wish {
    JOB_GO_ON,
    JOB_ABORT,   /* end with nothing changed; JOB_OPEN, JOB_ROLLING_BACK only */
    JOB_ABANDON, /* in JOB_COMMITTED: see handoff_abandon() */
};

struct job {
    struct service *service;
    char target[TARGET_TEXT_SIZE];
    enum job_kind kind;           /* constant once it runs */
    char to_text[RECORD_URI_LEN]; /* where it is handed; "" in JOB_PARK, as `to` */
    struct uri to;
    uint64_t deadline_len_ns, budget_ns;
    unsigned nr;
    struct disk *disks[GROUP_MAX_DISKS];
    unsigned nr_there; /* of the VM, not owned here: at the next owner, if it says so */
    struct disk *there[GROUP_MAX_DISKS];

    struct rpc_client *peer;
    struct record next[GROUP_MAX_DISKS]; /* what eject commits */
    struct record_draft *draft;          /* of next; NULL before and after */
    struct port *channels[GROUP_MAX_DISKS];
    char devices[GROUP_MAX_DISKS][IDENTITY_DEVICE_LEN]; /* as the next owner knows it */
    bool is_same_device[GROUP_MAX_DISKS];               /* and we know it as the same */
    bool wants_pause; /* the next owner; see takeover_pause.c */
    uint64_t started_ns, held_at_ns, opened_at_ns, deadline_ns, predicted_ns;
    uint64_t peer_drain_ns; /* of HOLD: the next owner waited for its requests */
    struct job_forecast {
        struct load before; /* as it was seen at the beginning */
        uint64_t peer_in_flight;
        uint64_t drain_ns, flush_ns, record_ns, trip_ns,
            peer_drain_ns; /* stall_forecast.h */
    } forecast;
    uint64_t phase_ns[HANDOFF_NR_PHASES];
    bool shares_cache; /* the next owner can flush what we have not: no FLUSH */
    bool has_followed; /* the channels are port B, and the gates are open */

    struct lk lock;    /* leaf */
    struct cv changed; /* anything below changed */
    struct job_locked {
        enum handoff_phase phase;
        uint64_t phase_began_ns;
        uint64_t news; /* counts changes of phase and detail */
        char detail[256];
        enum job_stage stage;
        enum job_wish wish;
        int peer_fd; /* of `peer`, for an abort to break a question off; -1: none */
        bool is_finished;      /* rc, err and report are there */
        uint64_t committed_ns; /* 0: not yet */
        int rc;
        struct err err;
        json_t *report;
        unsigned refs; /* the table, the thread, and every waiting caller */
    } locked_;
    LIST_ENTRY(job) link;
};

static inline struct job_locked *job_locked(struct job *j) LK_REQUIRES(j->lock);
static inline struct job_locked *
job_locked(struct job *j)
{
    return &j->locked_;
}

/* Are its disks parked until it commits? Each of them is, or none. */
static inline bool
job_is_of_parked(const struct job *j)
{
    return j->kind == JOB_HAND_ON_PARKED || j->kind == JOB_RESUME_HAND_ON_PARKED;
}

/* Does it begin at ASSIGN? */
static inline bool
job_is_resumed(const struct job *j)
{
    return j->kind == JOB_RESUME_HAND_OVER || j->kind == JOB_RESUME_HAND_ON_PARKED;
}

/* A job that is not started; NULL: no memory. */
struct job *job_alloc(struct service *s, const struct handoff_request *rq);
void job_free(struct job *j); /* never started, or its last reference is gone */
void job_ref(struct job *j);
void job_unref(struct job *j);

/* All of its disks, or none. */
int job_claim_disks(struct job *j, struct err *e);
void job_unclaim_disks(struct job *j);

/* The only writer of the phase. */
void job_set_phase(struct job *j, enum handoff_phase next);
/* Of the stage, too. */
void job_set_stage_locked(struct job *j, enum job_stage next) LK_REQUIRES(j->lock);
void job_set_stage(struct job *j, enum job_stage next);
void job_detail(struct job *j, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* -ECANCELED with a sentence when somebody wants an abort, -ETIMEDOUT when the deadline
 * of HOLD..FLUSH has passed, else 0. */
int job_check(struct job *j, struct err *e);
bool job_is_abort_wanted(struct job *j);
/* Wait for a while, or until the process ends anyway. Only an abandonment wakes it
 * earlier: then false. */
bool job_back_off(struct job *j, uint64_t *wait_ns);

/* What is handed, as every call names it (docs/control-protocol.md). */
json_t *job_disk_list(const struct job *j);

/* Write what the commit will rename. */
int job_draft(struct job *j, struct err *e);

#endif
