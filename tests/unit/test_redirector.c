/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of a handoff: states, drain, cancel, swap, abort. What becomes of queued
 * requests is in test_redirector_replay.c, recall and bounce in
 * test_redirector_recall.c. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <check.h>

#include "redir_job.h"
#include "redir_rig.h"
#include "suite.h"

/* Bring an OPEN rig to a state. REPLAYING lasts while "busy" (block 0) is held: *ret_j.
 */
static void
bring_to(struct rig *g, enum redir_state state, struct job **ret_j)
{
    *ret_j = NULL;
    if (state == REDIR_OPEN) {
        return;
    }
    ck_assert_int_eq(redir_hold(g->r), 0);
    if (state == REDIR_QUIESCED) {
        ck_assert_int_eq(redir_drain(g->r, soon()), 0);
    }
    if (state == REDIR_REPLAYING) {
        port_fault_hold(g->a, "busy", REQ_WRITE, 0);
        *ret_j = job_write(g->r, 0, 'x');
        wait_queued(g->r, 1);
        ck_assert_int_eq(redir_release(g->r), 0);
        ck_assert_int_eq(port_fault_wait_held(g->a, "busy", soon()), 0);
    }
    ck_assert_int_eq(rig_status(g).state, state);
}

static void
let_end(struct rig *g, struct job *j)
{
    if (j != NULL) {
        port_fault_release(g->a, "busy", 0);
        ck_assert_int_eq(job_end(j), 0);
    }
    redir_free(g->r);
}

/* The one call that leads to a state; there is none to OPEN, which comes by itself. */
static int
go_to(struct redir *r, enum redir_state state)
{
    switch (state) {
    case REDIR_OPEN:
        return redir_wait_open(r, 0) == 0 ? 0 : -EBUSY;
    case REDIR_HOLDING:
        return redir_hold(r);
    case REDIR_QUIESCED:
        return redir_drain(r, soon());
    case REDIR_REPLAYING:
        return redir_release(r);
    }
    return -EINVAL;
}

START_TEST(every_pair_of_states_works_or_is_busy_and_changes_nothing)
{
    static const bool allowed[REDIR_NR_STATES][REDIR_NR_STATES] = {
        [REDIR_OPEN] = {[REDIR_OPEN] = true, [REDIR_HOLDING] = true},
        [REDIR_HOLDING] = {[REDIR_QUIESCED] = true, [REDIR_REPLAYING] = true},
        [REDIR_QUIESCED] = {[REDIR_REPLAYING] = true},
        [REDIR_REPLAYING] = {[REDIR_HOLDING] = true},
    };
    const unsigned i = (unsigned)_i;
    enum redir_state from = (enum redir_state)(i / REDIR_NR_STATES);
    enum redir_state to = (enum redir_state)(i % REDIR_NR_STATES), now;
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *j;

    bring_to(&g, from, &j);
    ck_assert_int_eq(go_to(g.r, to), allowed[from][to] ? 0 : -EBUSY);
    now = rig_status(&g).state;
    if (!allowed[from][to]) {
        ck_assert_int_eq(now, from);
    } else if (to == REDIR_REPLAYING) {
        ck_assert_int_eq(now, REDIR_OPEN); /* nothing was queued */
    } else {
        ck_assert_int_eq(now, to);
    }
    let_end(&g, j);
}
END_TEST

START_TEST(swap_is_refused_unless_quiesced)
{
    enum redir_state state = (enum redir_state)_i;
    struct rig g = rig_open(CLOCK_NEVER);
    struct port *next = rig_port(RIG_SIZE), *old = NULL;
    struct err e = {""};
    struct job *j;

    bring_to(&g, state, &j);
    if (state == REDIR_QUIESCED) {
        ck_assert_int_eq(redir_swap(g.r, next, REDIR_REMOTE, &e, &old), 0);
        ck_assert_ptr_eq(old, g.a);
        ck_assert_ptr_eq(redir_active(g.r), next);
        ck_assert_int_eq(rig_status(&g).side, REDIR_REMOTE);
        port_close(old);
    } else {
        ck_assert_int_eq(redir_swap(g.r, next, REDIR_REMOTE, &e, &old), -EBUSY);
        ck_assert_ptr_null(old);
        ck_assert_ptr_nonnull(strstr(e.msg, redir_state_name(state)));
        ck_assert_ptr_eq(redir_active(g.r), g.a);
        port_close(next);
    }
    let_end(&g, j);
}
END_TEST

START_TEST(swap_refuses_smaller_port_and_hands_nothing_over)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct port *small = rig_port(RIG_SIZE / 2), *old = NULL;
    struct err e = {""};

    ck_assert_int_eq(redir_hold(g.r), 0);
    ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    ck_assert_int_eq(redir_swap(g.r, small, REDIR_REMOTE, &e, &old), -EINVAL);
    ck_assert_ptr_null(old);
    ck_assert_ptr_nonnull(strstr(e.msg, "size"));
    ck_assert_ptr_eq(redir_active(g.r), g.a);
    ck_assert_int_eq(rig_status(&g).side, REDIR_LOCAL);
    port_close(small); /* still ours: a double free if it were not */
    redir_free(g.r);
}
END_TEST

START_TEST(a_new_redirector_holds_until_it_gets_a_port)
{
    struct port *a = rig_port(RIG_SIZE), *old;
    struct redir *r;
    struct job *j;

    ck_assert_int_eq(redir_new("t", &a->info, CLOCK_NEVER, &r), 0);
    ck_assert_int_eq(redir_release(r), -ENODEV);
    ck_assert_int_eq(redir_check_ledger(r, NULL), 0);
    j = job_write(r, 0, 'a');
    wait_queued(r, 1);
    ck_assert_int_eq(redir_swap(r, a, REDIR_LOCAL, NULL, &old), 0);
    ck_assert_int_eq(redir_release(r), 0);
    ck_assert_int_eq(job_end(j), 0);
    redir_free(r);
    redir_free(NULL);
}
END_TEST

START_TEST(a_port_can_be_taken_out_and_its_requests_wait_for_the_next)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *j;

    rig_move(&g, NULL, REDIR_LOCAL);
    ck_assert_int_eq(redir_release(g.r), -ENODEV);
    ck_assert_int_eq(rig_status(&g).state, REDIR_QUIESCED);
    j = job_write(g.r, 0, 'a');
    wait_queued(g.r, 1);
    rig_swap(&g, rig_port(RIG_SIZE), REDIR_REMOTE);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(job_end(j), 0);
    expect_ledger(g.r, 0, 1, 0, 0, 0);
    redir_free(g.r);
}
END_TEST

/* An OPEN rig with one write at the port, held under "busy". */
static struct job *
write_in_flight(struct rig *g)
{
    struct job *j;

    port_fault_hold(g->a, "busy", REQ_WRITE, 0);
    j = job_write(g->r, 0, 'x');
    ck_assert_int_eq(port_fault_wait_held(g->a, "busy", soon()), 0);
    return j;
}

START_TEST(drain_waits_for_what_is_in_flight)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *w1 = write_in_flight(&g), *w2;

    ck_assert_int_eq(redir_hold(g.r), 0);
    w2 = job_write(g.r, 0, 'y');
    wait_queued(g.r, 1);
    ck_assert_int_eq(redir_drain(g.r, clock_deadline_ns(20 * NS_PER_MS)), -ETIMEDOUT);
    ck_assert_int_eq(rig_status(&g).state, REDIR_HOLDING);
    ck_assert_uint_eq(rig_status(&g).in_flight, 1);
    expect_ledger(g.r, 0, 0, 0, 0, 2);
    port_fault_release(g.a, "busy", 0);
    ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    ck_assert_int_eq(redir_check_ledger(g.r, NULL), 0);
    expect_ledger(g.r, 1, 0, 0, 0, 1);
    ck_assert_int_eq(job_end(w1), 0);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(job_end(w2), 0);
    redir_free(g.r);
}
END_TEST

struct drainer {
    struct redir *r;
    pthread_t thread;
    int rc;
};

static void *
drain_main(void *arg)
{
    struct drainer *d = (struct drainer *)arg;

    d->rc = redir_drain(d->r, soon());
    return NULL;
}

/* The same from the queue: it was held, and is replayed now. */
static struct job *
write_in_replay(struct rig *g)
{
    struct job *j;

    ck_assert_int_eq(redir_hold(g->r), 0);
    ck_assert_int_eq(redir_drain(g->r, soon()), 0);
    port_fault_hold(g->a, "busy", REQ_WRITE, 0);
    j = job_write(g->r, 0, 'x');
    wait_queued(g->r, 1);
    ck_assert_int_eq(redir_release(g->r), 0);
    ck_assert_int_eq(port_fault_wait_held(g->a, "busy", soon()), 0);
    return j;
}

START_TEST(a_request_that_ends_wakes_the_drain)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *w1 = _i == 0 ? write_in_flight(&g) : write_in_replay(&g);
    struct drainer d = {.r = g.r};
    uint64_t began_ns = clock_now_ns();

    ck_assert_int_eq(redir_hold(g.r), 0);
    ck_assert_int_eq(pthread_create(&d.thread, NULL, drain_main, &d), 0);
    pass_time(20 * NS_PER_MS); /* likely it waits by now; right in both cases */
    port_fault_release(g.a, "busy", 0);
    ck_assert_int_eq(pthread_join(d.thread, NULL), 0);
    ck_assert_int_eq(d.rc, 0);
    ck_assert_uint_lt(clock_now_ns() - began_ns,
                      RIG_PATIENCE); /* not by its deadline */
    ck_assert_int_eq(job_end(w1), 0);
    redir_free(g.r);
}
END_TEST

START_TEST(cancel_ends_a_drain_that_waits)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *w1 = write_in_flight(&g);
    struct drainer d = {.r = g.r};

    ck_assert_int_eq(redir_hold(g.r), 0);
    ck_assert_int_eq(pthread_create(&d.thread, NULL, drain_main, &d), 0);
    pass_time(20 * NS_PER_MS); /* likely it waits by now; right in both cases */
    redir_cancel_drain(g.r);
    ck_assert_int_eq(pthread_join(d.thread, NULL), 0);
    ck_assert_int_eq(d.rc, -ECANCELED);
    ck_assert_int_eq(rig_status(&g).state, REDIR_HOLDING);
    let_end(&g, w1);
}
END_TEST

START_TEST(cancel_ends_one_drain_and_the_next_one_works)
{
    struct rig g = rig_open(CLOCK_NEVER);

    redir_cancel_drain(g.r); /* of an earlier handoff: forgotten by the hold */
    ck_assert_int_eq(redir_hold(g.r), 0);
    ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(redir_hold(g.r), 0);
    redir_cancel_drain(g.r);
    ck_assert_int_eq(redir_drain(g.r, soon()), -ECANCELED);
    ck_assert_int_eq(rig_status(&g).state, REDIR_HOLDING);
    ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    redir_free(g.r);
}
END_TEST

START_TEST(an_abort_leaves_everything_as_it_was)
{
    bool is_drained = _i == 1;
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *before = job_write(g.r, 1, 'a'), *held;

    ck_assert_int_eq(job_end(before), 0);
    ck_assert_int_eq(redir_hold(g.r), 0);
    if (is_drained) {
        ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    }
    held = job_write(g.r, 2, 'b');
    wait_queued(g.r, 1);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(job_end(held), 0);
    ck_assert_int_eq(redir_wait_open(g.r, soon()), 0);
    ck_assert_ptr_eq(redir_active(g.r), g.a);
    ck_assert_int_eq(rig_status(&g).side, REDIR_LOCAL);
    ck_assert_int_eq(rig_byte(g.r, 1), 'a');
    ck_assert_int_eq(rig_byte(g.r, 2), 'b');
    expect_ledger(g.r, 4, 0, 0, 0, 0);
    redir_free(g.r);
}
END_TEST

START_TEST(wait_open_ends_at_its_deadline)
{
    struct rig g = rig_open(CLOCK_NEVER);

    ck_assert_int_eq(redir_hold(g.r), 0);
    ck_assert_int_eq(redir_wait_open(g.r, clock_deadline_ns(NS_PER_MS)), -ETIMEDOUT);
    redir_free(g.r);
}
END_TEST

START_TEST(a_ledger_that_moved_while_quiesced_is_refused)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct ledger_stripe *s = ledger_stripe(&g.r->ledger);
    struct err e = {""};

    rig_move(&g, rig_port(RIG_SIZE), REDIR_REMOTE);
    ck_assert_int_eq(redir_check_ledger(g.r, &e), 0);
    ledger_accept(s);
    ledger_end(s, LEDGER_LOCAL); /* as if a request were still at the old port */
    ck_assert_int_eq(redir_check_ledger(g.r, &e), -EPROTO);
    ck_assert_ptr_nonnull(strstr(e.msg, "does not balance"));
    ck_assert_int_eq(redir_release(g.r), 0);
    redir_free(g.r);
}
END_TEST

START_TEST(the_face_has_the_promised_info_and_the_identity_of_the_port)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct port *face = redir_port(g.r);
    char id[64] = "?";

    ck_assert_mem_eq(&face->info, &g.a->info, sizeof face->info);
    ck_assert_int_eq(port_identify(face, id, sizeof id), 0); /* memory has none */
    ck_assert_str_eq(id, "");
    port_close(face); /* does nothing */
    ck_assert_int_eq(rig_byte(g.r, 0), '\0');
    redir_free(g.r);
}
END_TEST

SUITE("redirector") = {
    CASE("steps"),
    LOOP(every_pair_of_states_works_or_is_busy_and_changes_nothing,
         REDIR_NR_STATES *REDIR_NR_STATES),
    LOOP(swap_is_refused_unless_quiesced, REDIR_NR_STATES),
    TEST(swap_refuses_smaller_port_and_hands_nothing_over),
    TEST(a_new_redirector_holds_until_it_gets_a_port),
    TEST(a_port_can_be_taken_out_and_its_requests_wait_for_the_next),
    TEST(drain_waits_for_what_is_in_flight),
    LOOP(a_request_that_ends_wakes_the_drain, 2),
    TEST(cancel_ends_a_drain_that_waits),
    TEST(cancel_ends_one_drain_and_the_next_one_works),
    LOOP(an_abort_leaves_everything_as_it_was, 2),
    TEST(wait_open_ends_at_its_deadline),
    TEST(a_ledger_that_moved_while_quiesced_is_refused),
    TEST(the_face_has_the_promised_info_and_the_identity_of_the_port),
};
