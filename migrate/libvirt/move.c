/* SPDX-License-Identifier: BSD-3-Clause */
#include "move.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "clock.h"
#include "move_call.h"
#include "say.h"

#define LOOK_AGAIN_MS 50

struct move {
    const struct move_order *o;
    struct move_side from, to;
    enum plug_state from_state, to_state;
    uint64_t phase_ns[MOVE_NR_PHASES];
    uint64_t held_at_ns, served_at_ns; /* 0: another command did it */
    bool is_resumed;                   /* an earlier command had begun the move */
    json_t *park, *handoff;            /* reports of the service */
};

static uint64_t
plug_deadline(const struct move *m)
{
    return clock_deadline_ns(m->o->plug_len_ns);
}

/* Announce the phase; returns the time. */
static uint64_t
begin(const struct move *m, const char *phase)
{
    if (m->o->on_phase != NULL) {
        m->o->on_phase(m->o->opaque, phase);
    }
    return clock_now_ns();
}

static bool
is_role(const char *role, const char *expected)
{
    return strcmp(role, expected) == 0;
}

static int
look(struct move *m, struct err *e)
{
    const struct move_order *o = m->o;
    int rc = move_ask(&o->from, o->disk, e, &m->from);

    if (rc < 0) {
        return rc;
    }
    rc = move_ask(&o->to, o->disk, e, &m->to);
    if (rc < 0) {
        return rc;
    }
    rc = plug_look(o->from_vm, &o->device, plug_deadline(m), e, &m->from_state);
    if (rc < 0) {
        return err_prefix(e, rc, "--from-vm");
    }
    rc = plug_look(o->to_vm, &o->device, plug_deadline(m), e, &m->to_state);
    if (rc < 0) {
        return err_prefix(e, rc, "--to-vm");
    }
    if (m->from_state == PLUG_GONE || m->to_state == PLUG_GONE) {
        return err_set(
            e, -ENOTCONN,
            "%s: this VM does not run, but its service answers; is it the right VM?",
            m->from_state == PLUG_GONE ? "--from-vm" : "--to-vm");
    }
    return 0;
}

/* Make sure, before a disk is parked that is served now, that the move can succeed. */
static int
prepare(struct move *m, struct err *e)
{
    const struct move_order *o = m->o;
    const uint64_t began_ns = begin(m, "prepare");
    int rc;

    if (m->from_state != PLUG_IN) {
        return err_set(e, -ENODEV, "--from-vm has no device %s", o->device.id);
    }
    rc = o->device.is_shared ? plug_in(o->to_vm, &o->device, plug_deadline(m), e)
                             : plug_prepare(o->to_vm, &o->device, plug_deadline(m), e);
    m->phase_ns[MOVE_PREPARE] = clock_now_ns() - began_ns;
    return rc < 0 ? err_prefix(e, rc, "--to-vm") : 0;
}

/* Has the first service still this role for the disk? False when it does not answer. */
static bool
is_still(struct move *m, const char *role)
{
    return move_ask(&m->o->from, m->o->disk, NULL, &m->from) == 0 &&
           is_role(m->from.role, role);
}

/* CLI_DONE: the disk is parked. An earlier command may have ordered that, and the park
 * may have ended since look(). */
static int
park(struct move *m, struct err *e)
{
    const uint64_t began_ns = begin(m, "park");
    bool is_refused;
    int rc = move_park(m->o, e, &is_refused, &m->park);

    m->phase_ns[MOVE_PARK] = clock_now_ns() - began_ns;
    if (rc < 0 && is_refused && is_still(m, "parked")) {
        m->is_resumed = true;
        return CLI_DONE;
    }
    if (rc < 0) { /* it begins with "park: " */
        return is_refused ? CLI_REFUSED : CLI_COMMITTED;
    }
    m->held_at_ns = move_held_since(m->park);
    return CLI_DONE;
}

/* Have the first service own the disk again, now that its VM has the device. It is
 * asked until it sees the device. */
static int
unpark(struct move *m, struct err *e)
{
    const uint64_t deadline_ns = plug_deadline(m);
    json_t *report = NULL;
    bool is_refused;
    int rc;

    do {
        rc = move_unpark(m->o, e, &is_refused, &report);
        json_decref(report);
        report = NULL;
    } while (rc < 0 && is_refused && clock_now_ns() < deadline_ns &&
             poll(NULL, 0, LOOK_AGAIN_MS) >= 0);
    return rc;
}

/* After a failure, whose sentence is in e. */
static int
go_back(struct move *m, struct err *e)
{
    const struct move_order *o = m->o;
    struct err why = *e, more = {{0}};
    int rc;

    (void)begin(m, "back");
    rc = plug_out(o->to_vm, &o->device, plug_deadline(m), &more);
    if (rc == 0) {
        rc = plug_in(o->from_vm, &o->device, plug_deadline(m), &more);
    }
    if (rc == 0) {
        rc = unpark(m, &more);
    }
    if (rc < 0) {
        (void)err_set(e, rc,
                      "%s; undoing the move failed: %s; %s is parked at %s and its "
                      "clients wait: run this command again",
                      why.msg, err_text(&more, rc), o->disk, o->from.text);
        return CLI_COMMITTED;
    }
    (void)err_set(e, -EREMOTEIO, "%s; %s is served at %s again, nothing was lost",
                  why.msg, o->disk, o->from.text);
    return CLI_REFUSED;
}

static int
detach(struct move *m, struct err *e)
{
    const uint64_t began_ns = begin(m, "detach");
    int rc = plug_out(m->o->from_vm, &m->o->device, plug_deadline(m), e);

    m->phase_ns[MOVE_DETACH] = clock_now_ns() - began_ns;
    if (rc < 0) {
        (void)err_prefix(e, rc, "detach");
    }
    return rc;
}

static int
attach(struct move *m, struct err *e)
{
    const uint64_t began_ns = begin(m, "attach");
    int rc = plug_in(m->o->to_vm, &m->o->device, plug_deadline(m), e);

    m->phase_ns[MOVE_ATTACH] = clock_now_ns() - began_ns;
    if (rc < 0) {
        (void)err_prefix(e, rc, "attach");
    }
    return rc;
}

/* Hand the disk over. The first service does that, even if this process dies. */
static int
assign(struct move *m, struct err *e, bool *ret_is_refused)
{
    const uint64_t began_ns = begin(m, "assign");
    int rc = move_handoff(m->o, e, ret_is_refused, &m->handoff);

    m->served_at_ns = rc == 0 ? clock_now_ns() : 0;
    m->phase_ns[MOVE_ASSIGN] = clock_now_ns() - began_ns;
    if (rc < 0) {
        (void)err_prefix(e, rc, "assign");
    }
    return rc;
}

static int
go_on_later(const struct move *m, struct err *e)
{
    (void)err_prefix(e, -EINPROGRESS,
                     "%s is not moved yet and its clients wait, run this command again",
                     m->o->disk);
    return CLI_COMMITTED;
}

/* Has the first service given it to the second one? */
static bool
is_given_on(const struct move *m)
{
    return is_role(m->from.role, "given") && strcmp(m->from.owner, m->to.service) == 0;
}

/* The first service has given the disk on and, as long as it runs, tells the second one
 * again and again. Wait for that. 0: the second one owns the disk, or has refused it,
 * so that the first one has it parked again. */
static int
await_taken(struct move *m, struct err *e)
{
    const uint64_t deadline_ns = plug_deadline(m);
    int rc = 0;

    while (rc == 0 && is_role(m->from.role, "given") && !is_role(m->to.role, "owner") &&
           clock_now_ns() < deadline_ns && poll(NULL, 0, LOOK_AGAIN_MS) >= 0) {
        rc = look(m, e);
    }
    if (rc == 0 && !is_role(m->to.role, "owner") && !is_role(m->from.role, "parked")) {
        rc = err_set(e, -EINPROGRESS, "the service at %s has not taken the disk",
                     m->o->to.text);
    }
    return rc;
}

/* assign() the disk, for which the first service has this role. If a command that was
 * killed had begun a handoff, ours may be refused because that one is done: as good. */
static int
hand_on(struct move *m, const char *role, struct err *e, bool *ret_is_refused)
{
    int rc = assign(m, e, ret_is_refused);

    if (rc < 0 && *ret_is_refused && !is_still(m, role) && is_given_on(m) &&
        await_taken(m, e) == 0 && is_role(m->to.role, "owner")) {
        return 0;
    }
    return rc;
}

static int
move_parked(struct move *m, struct err *e)
{
    bool is_refused = false;
    int rc = detach(m, e);

    if (rc < 0) {
        return rc == -EBUSY && is_still(m, "parked") ? go_back(m, e)
                                                     : go_on_later(m, e);
    }
    rc = attach(m, e);
    if (rc < 0) {
        return is_still(m, "parked") ? go_back(m, e) : go_on_later(m, e);
    }
    rc = hand_on(m, "parked", e, &is_refused);
    if (rc < 0) {
        return is_refused && is_still(m, "parked") ? go_back(m, e) : go_on_later(m, e);
    }
    return CLI_DONE;
}

/* Ownership first, while both have the device. */
static int
move_shared(struct move *m, struct err *e)
{
    struct err ignored;
    bool is_refused = false;
    int rc = hand_on(m, "owner", e, &is_refused);

    if (rc < 0 && is_refused && is_still(m, "owner")) {
        (void)plug_out(m->o->to_vm, &m->o->device, plug_deadline(m), &ignored);
        (void)err_prefix(e, rc, "%s is still served at %s", m->o->disk,
                         m->o->from.text);
        return CLI_REFUSED;
    }
    if (rc < 0) {
        return go_on_later(m, e);
    }
    rc = detach(m, e);
    if (rc < 0) {
        (void)err_prefix(e, rc, "%s is served at %s, but the device is in both VMs",
                         m->o->disk, m->o->to.text);
        return CLI_COMMITTED;
    }
    return CLI_DONE;
}

/* An earlier command had the first service give the disk on. Without the device the
 * second service would refuse the disk, and then the first one would need the device.
 */
static int
await_given(struct move *m, struct err *e)
{
    const bool is_shared = m->o->device.is_shared;

    if ((!is_shared && detach(m, e) < 0) || attach(m, e) < 0 || await_taken(m, e) < 0) {
        return go_on_later(m, e);
    }
    if (is_role(m->from.role, "parked")) {
        return move_parked(m, e);
    }
    if (is_shared && detach(m, e) < 0) {
        return go_on_later(m, e);
    }
    return CLI_DONE;
}

/* Can a move between these two services be meant, with the roles that they have? */
static int
check_roles(const struct move *m, struct err *e)
{
    const char *disk = m->o->disk;

    if (is_role(m->from.role, "owner") && is_role(m->to.role, "owner")) {
        return err_set(e, -EPERM,
                       "%s and %s each own a %s: these are two disks of one name",
                       m->from.service, m->to.service, disk);
    }
    if (is_role(m->from.role, "owner") || is_role(m->from.role, "parked") ||
        is_role(m->to.role, "owner") || is_given_on(m)) {
        return 0;
    }
    return err_set(e, -EPERM, "%s does not own %s: it is %s there%s%s", m->from.service,
                   disk, m->from.role,
                   m->from.owner[0] != '\0' ? ", the owner is " : "", m->from.owner);
}

static int
start(struct move *m, struct err *e)
{
    int status;

    if (look(m, e) < 0 || check_roles(m, e) < 0) {
        return CLI_REFUSED;
    }
    m->is_resumed = !is_role(m->from.role, "owner");
    if (is_role(m->from.role, "parked")) {
        return move_parked(m, e);
    }
    if (m->is_resumed) {
        return await_given(m, e);
    }
    if (prepare(m, e) < 0) {
        return CLI_REFUSED;
    }
    if (m->o->device.is_shared) {
        return move_shared(m, e);
    }
    status = park(m, e);
    return status == CLI_DONE ? move_parked(m, e) : status;
}

static json_t *
phases_json(const struct move *m)
{
    static const char *const names[MOVE_NR_PHASES] = {
        "prepare_us", "park_us", "detach_us", "attach_us", "assign_us"};
    json_t *o = json_object();

    for (unsigned i = 0; i < MOVE_NR_PHASES; i++) {
        (void)json_object_set_new(
            o, names[i], json_integer((json_int_t)(m->phase_ns[i] / NS_PER_US)));
    }
    return o;
}

int
move_run(const struct move_order *o, struct err *e, json_t **ret_report)
{
    static const char *const outcomes[] = {
        [CLI_DONE] = "done", [CLI_REFUSED] = "refused", [CLI_COMMITTED] = "committed"};
    struct move m = {.o = o};
    const int status = start(&m, e);
    uint64_t stall_us = cli_number(m.handoff, "stall_us");

    if (m.held_at_ns != 0 && m.served_at_ns != 0) {
        stall_us = (m.served_at_ns - m.held_at_ns) / NS_PER_US;
    }
    *ret_report =
        json_pack("{s:s,s:s,s:s,s:s,s:b,s:b,s:I,s:o}", "disk", o->disk, "from",
                  o->from.text, "to", o->to.text, "outcome", outcomes[status],
                  "resumed", m.is_resumed, "shared", o->device.is_shared, "stall_us",
                  (json_int_t)stall_us, "phases", phases_json(&m));
    if (m.park != NULL) {
        (void)json_object_set_new(*ret_report, "park", m.park);
    }
    if (m.handoff != NULL) {
        (void)json_object_set_new(*ret_report, "handoff", m.handoff);
    }
    if (status != CLI_DONE) {
        (void)json_object_set_new(*ret_report, "reason", json_string(e->msg));
    }
    return status;
}
