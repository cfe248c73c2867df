/* SPDX-License-Identifier: BSD-3-Clause */
/* The owner's side of the channel: a newer session fences every older one. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <check.h>

#include "clock.h"
#include "port_fault.h"
#include "port_mem.h"
#include "session.h"
#include "suite.h"

#define SIZE (1024 * 1024)
#define SOON (clock_deadline_ns(20 * NS_PER_S))

static struct redir *redir;
static struct port *fault;
static struct session_table *table;

/* A redirector over memory behind a fault port, and a table that serves epoch 5. */
static void
set_up(void)
{
    struct port *mem, *old;

    ck_assert_int_eq(port_mem_new(SIZE, &mem), 0);
    ck_assert_int_eq(port_fault_new(mem, &fault), 0);
    ck_assert_int_eq(redir_new("d", &fault->info, CLOCK_NEVER, &redir), 0);
    ck_assert_int_eq(redir_swap(redir, fault, REDIR_LOCAL, NULL, &old), 0);
    ck_assert_int_eq(redir_release(redir), 0);
    ck_assert_int_eq(session_table_new("d", redir, &table), 0);
    session_table_open(table, 5);
}

static void
tear_down(void)
{
    session_table_free(table);
    redir_free(redir);
}

static struct session *
open_session(const char *client, uint64_t number, uint64_t epoch)
{
    struct session *s = NULL;

    ck_assert_int_eq(session_open(table, client, number, epoch, SOON, NULL, &s), 0);
    return s;
}

static int
write_byte(struct session *s, char c)
{
    char buf[1] = {c};
    const struct req rq = {.op = REQ_WRITE, .len = 1, .off = 0, .buf = buf};

    return session_submit(s, &rq);
}

static char
read_byte(void)
{
    char c = 0;
    const struct req rq = {.op = REQ_READ, .len = 1, .off = 0, .buf = &c};

    ck_assert_int_eq(port_submit(redir_port(redir), &rq), 0);
    return c;
}

/* Also when whoever it was given to says that it never owned it. */
START_TEST(no_session_outlives_that_the_disk_was_given_away)
{
    struct err e = {0};
    struct session *s = open_session("c", 1, 5), *later = NULL;

    session_table_close(table); /* given away at 6, and back at 7 */
    session_table_open(table, 7);
    ck_assert_int_eq(write_byte(s, 'x'), -ESTALE);
    ck_assert_int_eq(session_open(table, "c", 2, 5, SOON, &e, &later), -ESTALE);
    ck_assert_ptr_nonnull(strstr(e.msg, "epoch 5"));
    later = open_session("c", 2, 7);
    ck_assert_int_eq(write_byte(later, 'y'), 0);
    ck_assert_int_eq(write_byte(s, 'x'), -ESTALE);
    ck_assert_int_eq(read_byte(), 'y');
    session_close(s);
    session_close(later);
}
END_TEST

START_TEST(only_the_epoch_of_this_ownership_is_served)
{
    struct err e = {0};
    struct session *s;

    ck_assert_int_eq(session_open(table, "c", 1, 4, SOON, &e, &s), -ESTALE);
    ck_assert_ptr_nonnull(strstr(e.msg, "epoch 4"));
    ck_assert_int_eq(session_open(table, "c", 1, 6, SOON, &e, &s), -ESTALE);
    s = open_session("c", 1, 5);
    ck_assert_int_eq(write_byte(s, 'a'), 0);
    session_close(s);
}
END_TEST

START_TEST(an_expected_epoch_is_admitted_but_not_served)
{
    struct session *s;

    session_table_close(table);
    session_table_expect(table, 7);
    s = open_session("c", 1, 7);
    ck_assert_int_eq(write_byte(s, 'a'), -ESTALE);
    session_table_open(table, 7);
    ck_assert_int_eq(write_byte(s, 'b'), 0);
    session_close(s);
}
END_TEST

START_TEST(a_newer_session_fences_the_older)
{
    struct session *old = open_session("c", 1, 5), *newer = open_session("c", 2, 5);
    struct session *again;

    ck_assert_int_eq(write_byte(old, 'x'), -ESTALE);
    ck_assert_int_eq(write_byte(newer, 'y'), 0);
    ck_assert_int_eq(session_open(table, "c", 1, 5, SOON, NULL, &again), -ESTALE);
    session_close(old);
    session_close(newer);
    /* Also when none of its connections is left. */
    ck_assert_int_eq(session_open(table, "c", 1, 5, SOON, NULL, &again), -ESTALE);
}
END_TEST

/* It would fence every session that the client can ever open. */
START_TEST(a_number_that_no_client_can_reach_is_refused)
{
    const uint64_t first = UINT64_C(1) << 32; /* as of a service's first start */
    struct session *s = NULL, *later;
    struct err e = {0};

    ck_assert_int_eq(session_open(table, "c", UINT64_MAX, 5, SOON, &e, &s), -ERANGE);
    ck_assert_ptr_nonnull(strstr(e.msg, "implausible"));
    s = open_session("c", first, 5);
    ck_assert_int_eq(session_open(table, "c", UINT64_MAX, 5, SOON, NULL, &later),
                     -ERANGE);
    ck_assert_int_eq(session_open(table, "c", UINT64_C(1) << 62, 5, SOON, NULL, &later),
                     -ERANGE);
    ck_assert_int_eq(write_byte(s, 'a'), 0);   /* none of them has fenced it */
    later = open_session("c", first << 20, 5); /* a million starts */
    ck_assert_int_eq(write_byte(later, 'b'), 0);
    session_close(s);
    session_close(later);
    /* Ten years after a start that was counted as the first. */
    later = open_session("c", UINT64_C(315360000) << 32, 5);
    ck_assert_int_eq(write_byte(later, 'c'), 0);
    session_close(later);
}
END_TEST

START_TEST(sessions_of_other_clients_are_not_fenced)
{
    struct session *a = open_session("a", 1, 5), *b = open_session("b", 9, 5);

    ck_assert_int_eq(write_byte(a, 'a'), 0);
    session_close(a);
    session_close(b);
}
END_TEST

START_TEST(lanes_of_one_session_share_it)
{
    struct session *a = open_session("c", 4, 5), *b = open_session("c", 4, 5);

    session_close(a);
    ck_assert_int_eq(write_byte(b, 'b'), 0);
    session_close(b);
}
END_TEST

struct writer {
    struct session *s;
    char c;
    int rc;
};

static void *
write_thread(void *arg)
{
    struct writer *w = arg;

    w->rc = write_byte(w->s, w->c);
    return NULL;
}

/* The ghost write: a request of a broken connection is delayed at the device, the
 * client connects anew and writes again, then the delayed one lands. */
START_TEST(a_newer_session_waits_for_what_the_older_had_begun)
{
    struct writer ghost = {.s = open_session("c", 1, 5), .c = 'g'};
    struct session *newer;
    pthread_t thread;

    port_fault_hold(fault, "ghost", REQ_WRITE, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_thread, &ghost), 0);
    ck_assert_int_eq(port_fault_wait_held(fault, "ghost", SOON), 0);

    ck_assert_int_eq(
        session_open(table, "c", 2, 5, clock_deadline_ns(50 * NS_PER_MS), NULL, &newer),
        -ETIMEDOUT);
    port_fault_release(fault, "ghost", 0);
    newer = open_session("c", 3, 5);
    ck_assert_int_eq(write_byte(newer, 'n'), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(read_byte(), 'n');
    session_close(ghost.s);
    session_close(newer);
}
END_TEST

START_TEST(what_waits_at_the_gate_is_sent_back_by_fencing)
{
    struct writer held = {.s = open_session("c", 1, 5), .c = 'h'};
    struct session *newer;
    pthread_t thread;

    ck_assert_int_eq(redir_hold(redir), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_thread, &held), 0);
    newer = open_session("c", 2, 5); /* returns only when the older one's is back */
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(held.rc, -ESTALE);
    ck_assert_int_eq(redir_release(redir), 0);
    ck_assert_int_eq(read_byte(), 0);
    session_close(held.s);
    session_close(newer);
}
END_TEST

START_TEST(closing_the_table_sends_everything_back)
{
    struct writer held = {.s = open_session("c", 1, 5), .c = 'h'};
    struct redir_status st;
    pthread_t thread;

    ck_assert_int_eq(redir_hold(redir), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_thread, &held), 0);
    do {
        redir_status(redir, &st);
    } while (st.queued == 0); /* it gets there: nothing holds it up before the gate */
    session_table_close(table);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(held.rc, -ESTALE);
    redir_status(redir, &st);
    ck_assert_uint_eq(st.ledger.bounced, 1);
    ck_assert_int_eq(write_byte(held.s, 'x'), -ESTALE);
    ck_assert_int_eq(redir_release(redir), 0);
    session_close(held.s);
}
END_TEST

/* It was let in when its epoch was served, and came to the gate after the table had
 * been closed, which gives up on it after a while. */
START_TEST(what_came_to_the_gate_late_is_sent_back_before_the_disk_is_served_again)
{
    struct writer late = {.s = open_session("c", 1, 5), .c = 'l'};
    struct redir_status st;
    pthread_t thread;

    ck_assert_int_eq(redir_hold(redir), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_thread, &late), 0);
    do {
        redir_status(redir, &st);
    } while (st.queued == 0); /* as above */
    session_table_open(table, 7);
    ck_assert_int_eq(redir_release(redir), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(late.rc, -ESTALE);
    ck_assert_int_eq(read_byte(), 0);
    session_close(late.s);
}
END_TEST

SUITE("session") = {
    CASE("session", .setup = set_up, .teardown = tear_down, .timeout_s = 60),
    TEST(no_session_outlives_that_the_disk_was_given_away),
    TEST(only_the_epoch_of_this_ownership_is_served),
    TEST(an_expected_epoch_is_admitted_but_not_served),
    TEST(a_newer_session_fences_the_older),
    TEST(a_number_that_no_client_can_reach_is_refused),
    TEST(sessions_of_other_clients_are_not_fenced),
    TEST(lanes_of_one_session_share_it),
    TEST(a_newer_session_waits_for_what_the_older_had_begun),
    TEST(what_waits_at_the_gate_is_sent_back_by_fencing),
    TEST(closing_the_table_sends_everything_back),
    TEST(what_came_to_the_gate_late_is_sent_back_before_the_disk_is_served_again),
};
