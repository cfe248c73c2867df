/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that a port gives back (-ESTALE), requests of channels, and what a status
 * says while requests flow. A recall of the channel is emulated by a fault port that
 * lets what it holds go with -ESTALE. */
#include <errno.h>
#include <stdatomic.h>

#include <check.h>

#include "redir_job.h"
#include "redir_rig.h"
#include "suite.h"

static const char session_1[] = "s1", session_2[] = "s2";

/* OPEN over a remote port that was swapped in. */
static struct rig
remote(uint64_t fail_after_ns)
{
    struct rig g = rig_open(fail_after_ns);

    rig_move(&g, rig_port(RIG_SIZE), REDIR_REMOTE);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(redir_wait_open(g.r, soon()), 0);
    return g;
}

/* A write of block 0 is at the port, held under "w". */
static struct job *
write_at_port(struct rig *g, char fill)
{
    struct job *j;

    port_fault_hold(g->a, "w", REQ_WRITE, 0);
    j = job_write(g->r, 0, fill);
    ck_assert_int_eq(port_fault_wait_held(g->a, "w", soon()), 0);
    return j;
}

/* The way back: drain what the recalled port gave up, and go on over a local port. */
static void
go_local(struct rig *g)
{
    ck_assert_int_eq(redir_drain(g->r, soon()), 0);
    ck_assert_int_eq(redir_check_ledger(g->r, NULL), 0);
    rig_swap(g, rig_port(RIG_SIZE), REDIR_LOCAL);
    ck_assert_int_eq(redir_release(g->r), 0);
}

START_TEST(a_recalled_request_goes_before_what_is_queued)
{
    struct rig g = remote(CLOCK_NEVER);
    struct job *first = write_at_port(&g, 'a'), *second;

    ck_assert_int_eq(redir_hold(g.r), 0);
    second = job_write(g.r, 0, 'b');
    wait_queued(g.r, 1);
    port_fault_release(g.a, "w", -ESTALE);
    wait_queued(g.r, 2);
    expect_ledger(g.r, 0, 0, 0, 0, 2);
    go_local(&g);
    ck_assert_int_eq(job_end(first), 0);
    ck_assert_int_eq(job_end(second), 0);
    ck_assert_int_eq(rig_byte(g.r, 0), 'b');
    expect_ledger(g.r, 3, 0, 0, 0, 0);
    ck_assert_uint_eq(rig_status(&g).held, 2);
    ck_assert_uint_eq(rig_status(&g).replayed, 2);
    rig_finish(&g);
}
END_TEST

/* REPLAYING over the remote port: `*ret_first` is at it under "w", and a write of the
 * same block waits for it. Then a new hold, and the first is recalled. */
static void
recall_during_replay(struct rig *g, struct job **ret_first, struct job **ret_second)
{
    ck_assert_int_eq(redir_hold(g->r), 0);
    port_fault_hold(g->a, "w", REQ_WRITE, 0);
    *ret_first = job_write(g->r, 0, 'a');
    wait_queued(g->r, 1);
    *ret_second = job_write(g->r, 0, 'b');
    wait_queued(g->r, 2);
    ck_assert_int_eq(redir_release(g->r), 0);
    ck_assert_int_eq(port_fault_wait_held(g->a, "w", soon()), 0);
    ck_assert_int_eq(redir_hold(g->r), 0);
    ck_assert_uint_eq(rig_status(g).held, 1);
    port_fault_release(g->a, "w", -ESTALE);
    wait_queued(g->r, 2);
}

START_TEST(a_request_recalled_during_its_replay_keeps_its_place)
{
    struct rig g = remote(CLOCK_NEVER);
    struct job *first, *second;
    struct redir_status s;

    recall_during_replay(&g, &first, &second);
    go_local(&g);
    ck_assert_int_eq(job_end(first), 0);
    ck_assert_int_eq(job_end(second), 0);
    ck_assert_int_eq(rig_byte(g.r, 0), 'b');
    s = rig_status(&g);
    ck_assert_uint_eq(s.held, 2); /* the recalled one was held again */
    ck_assert_uint_eq(s.replayed, 2);
    expect_ledger(g.r, 3, 0, 0, 0, 0);
    rig_finish(&g);
}
END_TEST

START_TEST(fail_after_counts_the_time_at_the_channel)
{
    struct rig g = remote(500 * NS_PER_MS);
    struct job *w;

    port_fault_hold(g.a, "w", REQ_WRITE, 0);
    w = job_write(g.r, 0, 'a');
    ck_assert_int_eq(port_fault_wait_held(g.a, "w", soon()), 0);
    pass_time(520 * NS_PER_MS); /* the owner is away */
    ck_assert_int_eq(redir_hold(g.r), 0);
    port_fault_release(g.a, "w", -ESTALE);
    ck_assert_int_eq(job_end(w), -EIO); /* before there is another port */
    go_local(&g);
    expect_ledger(g.r, 0, 0, 1, 0, 0);
    rig_finish(&g);
}
END_TEST

START_TEST(the_time_at_a_port_is_not_held)
{
    struct rig g = remote(CLOCK_NEVER);
    struct job *w;

    ck_assert_int_eq(redir_hold(g.r), 0);
    port_fault_hold(g.a, "w", REQ_WRITE, 0);
    w = job_write(g.r, 0, 'a');
    wait_queued(g.r, 1);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(port_fault_wait_held(g.a, "w", soon()), 0);
    pass_time(520 * NS_PER_MS); /* the owner is away */
    ck_assert_int_eq(redir_hold(g.r), 0);
    port_fault_release(g.a, "w", -ESTALE);
    go_local(&g);
    ck_assert_int_eq(job_end(w), 0);
    ck_assert_uint_lt(rig_status(&g).max_held_ns, 500 * NS_PER_MS);
    expect_ledger(g.r, 1, 0, 0, 0, 0);
    rig_finish(&g);
}
END_TEST

START_TEST(a_stale_device_is_an_error_and_no_recall)
{
    const void *origin = _i == 0 ? NULL : session_1;
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *j;

    port_fault_fail_nth(g.a, 1, -ESTALE, false); /* as a file on NFS may say */
    j = job_start_from(g.r, origin, REQ_READ, 0, 1, '?');
    ck_assert_int_eq(job_end(j), -EIO);
    expect_ledger(g.r, 0, 0, 1, 0, 0);
    rig_finish(&g);
}
END_TEST

START_TEST(an_error_of_the_device_is_passed_on_and_counted)
{
    struct rig g = remote(CLOCK_NEVER);

    port_fault_fail_nth(g.a, 1, -ENOSPC, false);
    ck_assert_int_eq(job_end(job_write(g.r, 0, 'a')), -ENOSPC);
    expect_ledger(g.r, 0, 0, 1, 0, 0);
    ck_assert_int_eq(job_end(job_write(g.r, 0, 'a')), 0);
    expect_ledger(g.r, 0, 1, 1, 0, 0);
    rig_finish(&g);
}
END_TEST

START_TEST(a_bounce_sends_back_only_requests_of_channels)
{
    bool is_all = _i == 1;
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *vm, *c1, *c2;

    ck_assert_int_eq(redir_hold(g.r), 0);
    ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    c1 = job_start_from(g.r, session_1, REQ_WRITE, 0, 1, '1');
    c2 = job_start_from(g.r, session_2, REQ_WRITE, 1, 1, '2');
    vm = job_write(g.r, 0, 'v');
    wait_queued(g.r, 3);
    redir_bounce(g.r, is_all ? REDIR_ALL_CHANNELS : session_1);
    ck_assert_int_eq(job_end(c1), -ESTALE);
    if (is_all) {
        ck_assert_int_eq(job_end(c2), -ESTALE);
    }
    expect_ledger(g.r, 0, 0, 0, is_all ? 2 : 1, is_all ? 1 : 2);
    ck_assert_int_eq(redir_check_ledger(g.r, NULL), 0);
    ck_assert_int_eq(redir_release(g.r), 0);
    if (!is_all) {
        ck_assert_int_eq(job_end(c2), 0);
    }
    ck_assert_int_eq(job_end(vm), 0);
    ck_assert_int_eq(rig_byte(g.r, 0), 'v');
    ck_assert_int_eq(rig_byte(g.r, 1), is_all ? '\0' : '2');
    rig_finish(&g);
}
END_TEST

START_TEST(what_waited_for_a_bounced_request_goes_on)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *h, *c, *late;

    ck_assert_int_eq(redir_hold(g.r), 0);
    port_fault_hold(g.a, "w", REQ_WRITE, 0);
    h = job_write(g.r, 0, 'h');
    wait_queued(g.r, 1);
    c = job_start_from(g.r, session_1, REQ_WRITE, 0, 2, 'c');
    wait_queued(g.r, 2);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(port_fault_wait_held(g.a, "w", soon()), 0);
    late = job_write(g.r, 1, 'l');
    wait_queued(g.r, 2);
    redir_bounce(g.r, session_1);
    ck_assert_int_eq(job_end(c), -ESTALE);
    ck_assert_int_eq(job_end(late), 0);
    port_fault_release(g.a, "w", 0);
    ck_assert_int_eq(job_end(h), 0);
    expect_ledger(g.r, 2, 0, 0, 1, 0);
    rig_finish(&g);
}
END_TEST

/* OPEN over a local port that can do nothing natively but read, write and flush. */
static struct rig
plain_local(void)
{
    struct rig g = {.a = rig_port(RIG_SIZE)};
    struct port *old;

    g.a->info.caps = PORT_CAN_WRITE | PORT_CAN_FLUSH;
    ck_assert_int_eq(redir_new("t", &g.a->info, CLOCK_NEVER, &g.r), 0);
    ck_assert_int_eq(redir_swap(g.r, g.a, REDIR_LOCAL, NULL, &old), 0);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(redir_wait_open(g.r, soon()), 0);
    return g;
}

/* A durable write is a write and a flush there, a zero is writes. Once the first of
 * them was performed "not performed" would not be true. */
START_TEST(a_request_that_is_made_of_several_is_not_sent_back_after_its_first)
{
    struct rig g = plain_local();
    struct job j = {.port = redir_port(g.r)};

    lk_init(&j.lock);
    cv_init(&j.done);
    j.rq = (struct req){.op = _i == 0 ? REQ_WRITE : REQ_ZERO,
                        .flags = REQ_F_FUA,
                        .len = RIG_BLOCK,
                        .buf = j.buf,
                        .origin = session_1};
    port_fault_hold(g.a, "w", REQ_WRITE, 0);
    ck_assert_int_eq(pthread_create(&j.thread, NULL, job_main, &j), 0);
    ck_assert_int_eq(port_fault_wait_held(g.a, "w", soon()), 0);
    ck_assert_int_eq(redir_hold(g.r), 0);
    port_fault_release(g.a, "w", 0);
    ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    redir_bounce(g.r, REDIR_ALL_CHANNELS);
    job_wait(&j);
    ck_assert_int_eq(j.rc, 0);
    expect_ledger(g.r, 1, 0, 0, 0, 0);
    ck_assert_int_eq(redir_release(g.r), 0);
    cv_done(&j.done);
    lk_done(&j.lock);
    rig_finish(&g);
}
END_TEST

START_TEST(a_remote_port_never_performs_a_request_of_a_channel)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *queued;

    ck_assert_int_eq(redir_hold(g.r), 0);
    ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    queued = job_start_from(g.r, session_1, REQ_WRITE, 0, 1, 'q');
    wait_queued(g.r, 1);
    rig_swap(&g, rig_port(RIG_SIZE), REDIR_REMOTE);
    port_fault_fail_nth(g.a, 1, -EIO, true); /* whoever reaches it is seen */
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(job_end(queued), -ESTALE);
    ck_assert_int_eq(redir_wait_open(g.r, soon()), 0);
    ck_assert_int_eq(job_end(job_start_from(g.r, session_1, REQ_READ, 0, 1, '?')),
                     -ESTALE);
    ck_assert(!port_fault_hit(g.a));
    expect_ledger(g.r, 0, 0, 0, 2, 0);
    rig_finish(&g);
}
END_TEST

START_TEST(the_ledger_says_who_performed_each_request)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct job *held;

    expect_ledger(g.r, 0, 0, 0, 0, 0);
    ck_assert_int_eq(job_end(job_write(g.r, 0, 'a')), 0);
    ck_assert_int_eq(job_end(job_start_from(g.r, session_1, REQ_READ, 0, 1, '?')), 0);
    expect_ledger(g.r, 2, 0, 0, 0, 0);
    ck_assert_int_eq(redir_hold(g.r), 0);
    ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    held = job_write(g.r, 0, 'b');
    wait_queued(g.r, 1);
    expect_ledger(g.r, 2, 0, 0, 0, 1);
    rig_swap(&g, rig_port(RIG_SIZE), REDIR_REMOTE);
    expect_ledger(g.r, 2, 0, 0, 0, 1);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(job_end(held), 0);
    expect_ledger(g.r, 2, 1, 0, 0, 0);
    ck_assert_int_eq(redir_wait_open(g.r, soon()), 0);
    rig_move(&g, rig_port(RIG_SIZE), REDIR_LOCAL);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(job_end(job_write(g.r, 0, 'c')), 0);
    expect_ledger(g.r, 3, 1, 0, 0, 0);
    rig_finish(&g);
}
END_TEST

struct flow {
    struct redir *r;
    _Atomic unsigned nr_running; /* seq_cst; orders nothing else */
};

static void *
flow_main(void *arg)
{
    struct flow *f = (struct flow *)arg;
    const struct req rq = {.op = REQ_FLUSH};

    for (int i = 0; i < 20000; i++) {
        (void)port_submit(redir_port(f->r), &rq); /* memory's flush cannot fail */
    }
    atomic_fetch_sub(&f->nr_running, 1);
    return NULL;
}

START_TEST(status_under_load_never_has_a_negative_number)
{
    struct rig g = rig_open(CLOCK_NEVER);
    struct flow f = {.r = g.r, .nr_running = 2};
    pthread_t threads[2];
    struct redir_status s;

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, flow_main, &f), 0);
    }
    while (atomic_load(&f.nr_running) > 0) {
        s = rig_status(&g);
        ck_assert_uint_le(s.in_flight, s.ledger.pending);
        ck_assert_uint_le(s.ledger.pending, s.ledger.accepted);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    rig_finish(&g);
}
END_TEST

SUITE("redirector_recall") = {
    CASE("recall"),
    TEST(a_recalled_request_goes_before_what_is_queued),
    TEST(a_request_recalled_during_its_replay_keeps_its_place),
    TEST(fail_after_counts_the_time_at_the_channel),
    TEST(the_time_at_a_port_is_not_held),
    LOOP(a_stale_device_is_an_error_and_no_recall, 2),
    TEST(an_error_of_the_device_is_passed_on_and_counted),
    LOOP(a_bounce_sends_back_only_requests_of_channels, 2),
    TEST(what_waited_for_a_bounced_request_goes_on),
    LOOP(a_request_that_is_made_of_several_is_not_sent_back_after_its_first, 2),
    TEST(a_remote_port_never_performs_a_request_of_a_channel),
    TEST(the_ledger_says_who_performed_each_request),
    TEST(status_under_load_never_has_a_negative_number),
};
