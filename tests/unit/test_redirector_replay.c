/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of requests that found the gate closed: their order, what arrives while
 * they are replayed, and fail-after. */
#include <errno.h>
#include <stdatomic.h>

#include <check.h>

#include "redir_job.h"
#include "redir_rig.h"
#include "suite.h"

/* A drained rig, so that what is queued now is all there is. */
static struct rig
quiesced(uint64_t fail_after_ns)
{
    struct rig g = rig_open(fail_after_ns);

    ck_assert_int_eq(redir_hold(g.r), 0);
    ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    return g;
}

static struct job *
queue_write(struct rig *g, unsigned block, char fill)
{
    uint64_t n = nr_waiting(g->r);
    struct job *j = job_write(g->r, block, fill);

    wait_queued(g->r, n + 1);
    return j;
}

/* REPLAYING: a held write of block 0 is at the port under "h". */
static struct job *
replaying(struct rig *g)
{
    struct job *h;

    *g = quiesced(CLOCK_NEVER);
    port_fault_hold(g->a, "h", REQ_WRITE, 0);
    h = queue_write(g, 0, 'h');
    ck_assert_int_eq(redir_release(g->r), 0);
    ck_assert_int_eq(port_fault_wait_held(g->a, "h", soon()), 0);
    return h;
}

START_TEST(overlapping_writes_complete_in_arrival_order)
{
    struct rig g = quiesced(CLOCK_NEVER);
    struct job *w[6];

    for (int i = 0; i < 6; i++) {
        w[i] = queue_write(&g, 3, (char)('a' + i));
    }
    ck_assert_int_eq(redir_release(g.r), 0);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(job_end(w[i]), 0);
    }
    ck_assert_int_eq(rig_byte(g.r, 3), 'f');
    rig_finish(&g);
}
END_TEST

START_TEST(an_overlapping_write_is_not_sent_before_the_first_has_ended)
{
    struct rig g;
    struct job *w1 = replaying(&g), *w2;

    ck_assert_int_eq(redir_hold(g.r), 0);
    w2 = queue_write(&g, 0, 'b');
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_uint_eq(rig_status(&g).queued, 1);
    ck_assert_uint_eq(rig_status(&g).in_flight, 1);
    port_fault_release(g.a, "h", 0);
    ck_assert_int_eq(job_end(w1), 0);
    ck_assert_int_eq(job_end(w2), 0);
    ck_assert_int_eq(rig_byte(g.r, 0), 'b');
    rig_finish(&g);
}
END_TEST

START_TEST(disjoint_writes_are_at_the_port_at_the_same_time)
{
    struct rig g = quiesced(CLOCK_NEVER);
    struct job *w1, *w2;

    port_fault_hold(g.a, "w1", REQ_WRITE, 0);
    port_fault_hold(g.a, "w2", REQ_WRITE, RIG_BLOCK);
    w1 = queue_write(&g, 0, 'a');
    w2 = queue_write(&g, 1, 'b');
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(port_fault_wait_held(g.a, "w1", soon()), 0);
    ck_assert_int_eq(port_fault_wait_held(g.a, "w2", soon()), 0);
    port_fault_release(g.a, "w2", 0);
    ck_assert_int_eq(job_end(w2), 0);
    port_fault_release(g.a, "w1", 0);
    ck_assert_int_eq(job_end(w1), 0);
    rig_finish(&g);
}
END_TEST

START_TEST(reads_do_not_wait_for_reads)
{
    struct rig g = quiesced(CLOCK_NEVER);
    struct job *r1, *r2;

    port_fault_hold(g.a, "r1", REQ_READ, 0);
    r1 = job_start_from(g.r, NULL, REQ_READ, 0, 1, '?');
    r2 = job_start_from(g.r, NULL, REQ_READ, 0, 2, '?'); /* also touches block 0 */
    wait_queued(g.r, 2);
    ck_assert_int_eq(redir_release(g.r), 0);
    wait_queued(g.r, 0); /* both are on their way to the port */
    ck_assert_uint_eq(rig_status(&g).in_flight, 2);
    port_fault_release(g.a, "r1", 0);
    ck_assert_int_eq(job_end(r1), 0);
    ck_assert_int_eq(job_end(r2), 0);
    rig_finish(&g);
}
END_TEST

START_TEST(a_read_waits_for_the_write_before_it)
{
    struct rig g;
    struct job *h = replaying(&g), *read;

    read = job_read(g.r, 0);
    wait_queued(g.r, 1);
    port_fault_release(g.a, "h", 0);
    ck_assert_int_eq(job_end(h), 0);
    job_wait(read);
    ck_assert_int_eq(read->rc, 0);
    ck_assert_int_eq(read->buf[0], 'h');
    job_free(read);
    rig_finish(&g);
}
END_TEST

START_TEST(flush_waits_for_nothing)
{
    struct rig g = quiesced(CLOCK_NEVER);
    struct job *w, *flush;

    port_fault_hold(g.a, "w", REQ_WRITE, 0);
    w = queue_write(&g, 0, 'a');
    flush = job_start_from(g.r, NULL, REQ_FLUSH, 0, 0, '?');
    wait_queued(g.r, 2);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(job_end(flush), 0);
    ck_assert_int_eq(rig_status(&g).state, REDIR_REPLAYING);
    port_fault_release(g.a, "w", 0);
    ck_assert_int_eq(job_end(w), 0);
    rig_finish(&g);
}
END_TEST

START_TEST(arrivals_during_a_replay_wait_only_for_what_was_held)
{
    struct rig g;
    struct job *h = replaying(&g), *other, *same, *beside;

    other = job_write(g.r, 5, 'o');
    ck_assert_int_eq(job_end(other), 0);
    same = job_start_from(g.r, NULL, REQ_WRITE, 0, 2, 's');
    wait_queued(g.r, 1);
    beside = job_write(g.r, 1, 'b'); /* overlaps `same`, which nothing has to follow */
    ck_assert_int_eq(job_end(beside), 0);
    ck_assert_int_eq(rig_status(&g).state, REDIR_REPLAYING);
    port_fault_release(g.a, "h", 0);
    ck_assert_int_eq(job_end(h), 0);
    ck_assert_int_eq(job_end(same), 0);
    ck_assert_int_eq(rig_byte(g.r, 0), 's');
    rig_finish(&g);
}
END_TEST

/* Two threads write block 0 without a pause, so that something late always waits. */
struct load {
    struct redir *r;
    _Atomic bool is_over; /* seq_cst; orders nothing else */
    pthread_t threads[2];
};

static void *
load_main(void *arg)
{
    struct load *l = (struct load *)arg;
    char buf[RIG_BLOCK] = {'l'};
    const struct req rq = {.op = REQ_WRITE, .len = RIG_BLOCK, .buf = buf};
    int rc = 0;

    while (rc == 0 && !atomic_load(&l->is_over)) {
        rc = port_submit(redir_port(l->r), &rq);
    }
    return rc == 0 ? NULL : l;
}

START_TEST(a_replay_ends_under_a_load_that_overlaps)
{
    struct rig g;
    struct job *h = replaying(&g);
    struct load l = {.r = g.r};
    void *failed;

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&l.threads[i], NULL, load_main, &l), 0);
    }
    wait_queued(g.r, 2);
    port_fault_hold(g.a, "late", REQ_WRITE, 0); /* no late one ends from here on */
    port_fault_release(g.a, "h", 0);
    ck_assert_int_eq(job_end(h), 0);
    ck_assert_int_eq(redir_wait_open(g.r, soon()), 0);
    atomic_store(&l.is_over, true);
    port_fault_release(g.a, "late", 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(l.threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
    rig_finish(&g);
}
END_TEST

START_TEST(a_hold_during_a_replay_drains_what_was_sent_and_keeps_what_is_late)
{
    struct rig g;
    struct job *h = replaying(&g), *late, *after;

    late = queue_write(&g, 0, 'l');
    ck_assert_int_eq(redir_hold(g.r), 0);
    ck_assert_int_eq(redir_drain(g.r, clock_deadline_ns(NS_PER_MS)), -ETIMEDOUT);
    port_fault_release(g.a, "h", 0);
    ck_assert_int_eq(redir_drain(g.r, soon()), 0);
    ck_assert_int_eq(job_end(h), 0);
    expect_ledger(g.r, 1, 0, 0, 0, 1);
    port_fault_hold(g.a, "l", REQ_WRITE, 0);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(rig_status(&g).state, REDIR_REPLAYING); /* it is held now */
    after = queue_write(&g, 0, 'n');
    port_fault_release(g.a, "l", 0);
    ck_assert_int_eq(job_end(late), 0);
    ck_assert_int_eq(job_end(after), 0);
    ck_assert_int_eq(rig_byte(g.r, 0), 'n');
    rig_finish(&g);
}
END_TEST

START_TEST(status_never_says_that_more_was_replayed_than_held)
{
    struct rig g = quiesced(CLOCK_NEVER);
    struct job *w[8];
    struct redir_status s;

    for (unsigned i = 0; i < 8; i++) {
        w[i] = queue_write(&g, i, 'a');
    }
    ck_assert_uint_eq(rig_status(&g).held, 8);
    ck_assert_int_eq(redir_release(g.r), 0);
    if (redir_hold(g.r) == 0) { /* most threads have not yet woken */
        for (int i = 0; i < 8; i++) {
            ck_assert_int_eq(job_end(w[i]), 0);
        }
        s = rig_status(&g);
        ck_assert_uint_eq(s.held, 0);
        ck_assert_uint_eq(s.replayed, 0);
        ck_assert_int_eq(redir_release(g.r), 0);
    }
    rig_finish(&g);
}
END_TEST

START_TEST(status_describes_the_queue)
{
    struct rig g = quiesced(CLOCK_NEVER);
    struct job *w = queue_write(&g, 0, 'a'), *flush;
    struct redir_status s;

    flush = job_start_from(g.r, NULL, REQ_FLUSH, 0, 0, '?');
    wait_queued(g.r, 2);
    pass_time(NS_PER_MS);
    s = rig_status(&g);
    ck_assert_uint_eq(s.queued, 2);
    ck_assert_uint_eq(s.queued_bytes, RIG_BLOCK);
    ck_assert_uint_ge(s.oldest_ns, NS_PER_MS);
    ck_assert_uint_eq(s.in_flight, 0);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(job_end(w), 0);
    ck_assert_int_eq(job_end(flush), 0);
    s = rig_status(&g);
    ck_assert_uint_eq(s.oldest_ns, 0);
    ck_assert_uint_eq(s.held, 2);
    ck_assert_uint_eq(s.replayed, 2);
    ck_assert_uint_ge(s.max_held_ns, NS_PER_MS);
    rig_finish(&g);
}
END_TEST

START_TEST(fail_after_gives_eio_at_its_time_and_not_before)
{
    struct rig g = quiesced(50 * NS_PER_MS);
    uint64_t began_ns = clock_now_ns(), took_ns;
    struct job *w = job_write(g.r, 0, 'a');

    ck_assert_int_eq(job_end(w), -EIO);
    took_ns = clock_now_ns() - began_ns;
    ck_assert_uint_ge(took_ns, 50 * NS_PER_MS);
    ck_assert_uint_lt(took_ns, RIG_PATIENCE);
    expect_ledger(g.r, 0, 0, 1, 0, 0);
    ck_assert_uint_eq(rig_status(&g).queued, 0);
    ck_assert_uint_ge(rig_status(&g).max_held_ns, 50 * NS_PER_MS);
    ck_assert_int_eq(redir_check_ledger(g.r, NULL), 0);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(rig_byte(g.r, 0), '\0'); /* it was not performed */
    rig_finish(&g);
}
END_TEST

START_TEST(what_waited_for_a_failed_request_goes_on)
{
    struct rig g = rig_open(600 * NS_PER_MS);
    struct job *h, *wide, *late;

    port_fault_hold(g.a, "h", REQ_WRITE, 0);
    ck_assert_int_eq(redir_hold(g.r), 0);
    h = queue_write(&g, 0, 'h');
    wide = job_start_from(g.r, NULL, REQ_WRITE, 0, 2, 'w');
    wait_queued(g.r, 2);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(port_fault_wait_held(g.a, "h", soon()), 0);
    pass_time(400 * NS_PER_MS);
    late = queue_write(&g, 1, 'l');        /* 400 ms younger than `wide` */
    ck_assert_int_eq(job_end(wide), -EIO); /* h is never given an error */
    ck_assert_int_eq(job_end(late), 0);
    port_fault_release(g.a, "h", 0);
    ck_assert_int_eq(job_end(h), 0);
    expect_ledger(g.r, 2, 0, 1, 0, 0);
    rig_finish(&g);
}
END_TEST

START_TEST(the_longest_fail_after_is_not_the_shortest)
{
    struct rig g = quiesced(CLOCK_NEVER - 1);
    struct job *w = queue_write(&g, 0, 'a');

    pass_time(5 * NS_PER_MS);
    ck_assert_int_eq(redir_release(g.r), 0);
    ck_assert_int_eq(job_end(w), 0);
    rig_finish(&g);
}
END_TEST

SUITE("redirector_replay") = {
    CASE("replay"),
    TEST(overlapping_writes_complete_in_arrival_order),
    TEST(an_overlapping_write_is_not_sent_before_the_first_has_ended),
    TEST(disjoint_writes_are_at_the_port_at_the_same_time),
    TEST(reads_do_not_wait_for_reads),
    TEST(a_read_waits_for_the_write_before_it),
    TEST(flush_waits_for_nothing),
    TEST(arrivals_during_a_replay_wait_only_for_what_was_held),
    TEST(a_replay_ends_under_a_load_that_overlaps),
    TEST(a_hold_during_a_replay_drains_what_was_sent_and_keeps_what_is_late),
    TEST(status_never_says_that_more_was_replayed_than_held),
    TEST(status_describes_the_queue),
    TEST(fail_after_gives_eio_at_its_time_and_not_before),
    TEST(what_waited_for_a_failed_request_goes_on),
    TEST(the_longest_fail_after_is_not_the_shortest),
};
