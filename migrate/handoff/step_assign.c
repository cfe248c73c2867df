/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows the commit: ASSIGN and REPLAY, or the disks are taken back. */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "breakpoint.h"
#include "clock.h"
#include "device_check.h"
#include "disk_ownership.h"
#include "handoff_table.h"
#include "job_call.h"
#include "job_turn.h"
#include "log.h"
#include "owner_follow.h"
#include "step.h"
#include "urgency.h"

#define ASSIGN_TIMEOUT_NS (30 * NS_PER_S)
#define REPLAY_REPORT_NS (5 * NS_PER_S)

/* What peer.assign says: 0, or -EREMOTEIO for a refusal. */
static int
read_answer(struct job *j, json_t *result, struct err *e)
{
    bool is_assigned = json_is_true(json_object_get(result, "assigned"));
    const char *reason = json_string_value(json_object_get(result, "reason"));

    if (!is_assigned) {
        (void)err_set(e, -EREMOTEIO, "%s refuses: %s", j->next[0].peer_name,
                      reason != NULL ? reason : "no reason given");
    }
    json_decref(result);
    return is_assigned ? 0 : -EREMOTEIO;
}

static json_t *
assign_params(struct job *j)
{
    char boot_id[37];

    identity_boot_id(boot_id);
    if (job_is_of_parked(j)) { /* who has had the device since is not known */
        boot_id[0] = '\0';
    }
    return json_pack("{s:s,s:s,s:s,s:o}", "from", j->service->cfg->name, "from_control",
                     config_control_for(j->service->cfg, &j->to), "boot_id", boot_id,
                     "disks", job_disk_list(j));
}

/* The next owner does not answer. When others own the disks, at later epochs, it did
 * own them and gave them on. */
static bool
has_moved_on(struct job *j)
{
    for (unsigned i = 0; i < j->nr; i++) {
        if (!owner_follow_claimed(j->disks[i], j->next[i].epoch)) {
            return false;
        }
    }
    for (unsigned i = 0; i < j->nr; i++) {
        j->next[i] = disk_record(j->disks[i]);
    }
    return true;
}

/* The channels are in place; the new owner may give the disks on, and they follow it.
 */
static void
share_claims(struct job *j)
{
    for (unsigned i = 0; i < j->nr; i++) {
        disk_share_claim(j->disks[i]);
    }
}

static void
end_sharing(struct job *j)
{
    for (unsigned i = 0; i < j->nr; i++) {
        disk_end_sharing(j->disks[i]);
    }
}

void
step_follow(struct job *j)
{
    for (unsigned i = 0; i < j->nr && !j->has_followed; i++) {
        disk_follow(j->disks[i], j->channels[i]);
        j->channels[i] = NULL;
        (void)BREAKPOINT("owner-following");
    }
    j->has_followed = true;
}

static void
begin_replay(struct job *j)
{
    job_set_phase(j, HANDOFF_REPLAY);
    share_claims(j);
    j->opened_at_ns = clock_now_ns(); /* afterwards who was held runs before us */
    step_follow(j);
    (void)urgency_set(URGENCY_CONTROL); /* who was held comes first now */
}

/* An rpc_on_notify: the next owner serves, and is about to make that durable. The queue
 * is replayed at once; the handoff ends with its answer. */
static void
hear(void *job, const char *method, json_t *params)
{
    struct job *j = job;

    (void)params;
    if (strcmp(method, "assigned") == 0 && !j->has_followed) {
        struct err ignored;

        begin_replay(j);
        /* While the next owner does the same; then another group may be held. */
        (void)record_settle(j->service->records, &ignored); /* else the next commit */
        job_turn_leave(j);
    }
}

static int
assign(struct job *j, struct err *e)
{
    uint64_t wait_ns = RETRY_MIN_NS, looked_ns = clock_now_ns();
    bool is_told = false;

    for (;;) {
        const struct job_question q = {.method = "peer.assign",
                                       .params = assign_params(j),
                                       .timeout_ns = ASSIGN_TIMEOUT_NS,
                                       .on_notify = hear};
        json_t *result = NULL;
        int code = 0;
        int rc;

        (void)BREAKPOINT("owner-assigning");
        rc = job_call(j, &q, e, &code, &result);
        end_sharing(j); /* hear() may have begun it */
        if (rc == 0) {
            (void)BREAKPOINT("owner-told");
            job_set_stage(j, JOB_ANSWERED);
            return read_answer(j, result, e);
        }
        job_turn_leave(j); /* it may last */
        (void)urgency_set(URGENCY_CONTROL);
        job_detail(j, "%s does not answer: %s", j->next[0].peer_name, err_text(e, rc));
        if (!is_told) {
            log_warn("%s was given at epoch %" PRIu64 " to %s, which does not answer "
                     "(%s): requests are held, asking again",
                     j->target, j->next[0].epoch, j->next[0].peer_name,
                     err_text(e, rc));
            is_told = true;
        }
        if (clock_now_ns() - looked_ns >= JOB_RETRY_MAX_NS) {
            looked_ns = clock_now_ns();
            if (has_moved_on(j)) { /* as good as an answer */
                job_set_stage(j, JOB_ANSWERED);
                return 0;
            }
        }
        if (!job_back_off(j, &wait_ns)) {
            return err_set(e, -ECANCELED, "abandoned");
        }
        (void)BREAKPOINT("owner-asks-again");
    }
}

int
step_assign(struct job *j, struct err *e)
{
    _Atomic unsigned *nr_asking = &j->service->handoffs->nr_asking;
    int rc;

    (void)atomic_fetch_add_explicit(nr_asking, 1, memory_order_relaxed);
    rc = assign(j, e);
    (void)atomic_fetch_sub_explicit(nr_asking, 1, memory_order_relaxed);
    return rc;
}

void
step_replay(struct job *j)
{
    uint64_t deadline_ns = clock_deadline_ns(REPLAY_REPORT_NS);

    if (!j->has_followed || job_is_resumed(j)) {
        begin_replay(j);
    } else {
        share_claims(j);
    }
    for (unsigned i = 0; i < j->nr; i++) {
        (void)redir_wait_open(j->disks[i]->redir, deadline_ns); /* else status tells */
    }
    end_sharing(j);
    (void)BREAKPOINT("owner-replayed");
}

static int
reopen_one(struct job *j, struct disk *d, struct err *e, struct port **ret_port)
{
    struct port *port = NULL;
    int rc = disk_open_device(d, e, &port);

    if (rc < 0) {
        return rc;
    }
    rc = device_check(d, port, e);
    /* Who refuses may have forgotten that it served the disk, and wrote. */
    if (rc == 0) {
        rc = disk_own(d, port, j->shares_cache, e);
    }
    if (rc < 0) {
        port_close(port);
        return err_prefix(e, rc, "disk %s", d->cfg->name);
    }
    *ret_port = port;
    return 0;
}

/* Those of ports that are not from an earlier try. */
static int
reopen_all(struct job *j, struct port **ports, struct err *e)
{
    for (unsigned i = 0; i < j->nr; i++) {
        int rc = ports[i] != NULL ? 0 : reopen_one(j, j->disks[i], e, &ports[i]);

        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

void
step_take_back(struct job *j)
{
    struct port *ports[GROUP_MAX_DISKS] = {NULL};
    struct record mine[GROUP_MAX_DISKS] = {0};
    uint64_t wait_ns = 10 * NS_PER_MS;

    for (unsigned i = 0; i < j->nr; i++) {
        mine[i] = disk_next_record(j->disks[i], ROLE_OWNER, j->next[i].epoch + 1);
    }
    (void)BREAKPOINT("owner-refused");
    for (;;) {
        struct err e = {0};
        bool is_committed = false;
        int rc = reopen_all(j, ports, &e);

        if (rc == 0) {
            rc = BREAKPOINT("owner-relocked");
        }
        if (rc == 0) {
            rc = record_commit(j->service->records, mine, j->nr, &e, &is_committed);
        }
        if (rc == 0 || is_committed) {
            break;
        }
        job_detail(j, "taking it back: %s", err_text(&e, rc));
        log_warn("%s was refused by %s and is not ours again yet: %s; requests are "
                 "held, trying again",
                 j->target, j->next[0].peer_name, err_text(&e, rc));
        (void)job_back_off(j, &wait_ns); /* it was answered: nobody can abandon it */
    }
    (void)BREAKPOINT("owner-retaken");
    for (unsigned i = 0; i < j->nr; i++) {
        struct disk *d = j->disks[i];

        disk_set_record(d, &mine[i]);
        /* Who refuses may have forgotten that it served the disk: no session from
         * before the commit is served any more. Clients look for us at this epoch. */
        disk_assign(d, ports[i]);
        device_remember(d);
        port_close(j->channels[i]);
        j->channels[i] = NULL;
    }
    j->opened_at_ns = clock_now_ns();
}
