/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection's thread: connect, keep depth requests in flight, judge replies; when
 * the connection breaks, do as QEMU does: connect anew and send again what has no
 * reply. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "link.h"
#include "traffic_conn.h"

#define TEXT_SIZE sizeof(((struct traffic_report *)0)->violation)
#define LOOK_MS 50 /* how late the end of a phase may be noticed */
#define RETRY_MS 5 /* after an error reply */

static struct traffic_locked *traffic_locked(struct traffic *t) LK_REQUIRES(t->lock);

static struct traffic_locked *
traffic_locked(struct traffic *t)
{
    return &t->locked_;
}

static enum traffic_state
state_of(struct traffic *t)
{
    return atomic_load_explicit(&t->state, memory_order_relaxed);
}

/* RUNNING to ENDING; a failure stays one. */
static void
end_soon(struct traffic *t)
{
    enum traffic_state expected = TRAFFIC_RUNNING;

    (void)atomic_compare_exchange_strong_explicit(
        &t->state, &expected, TRAFFIC_ENDING, memory_order_relaxed,
        memory_order_relaxed); /* when it fails, it is ending already */
}

static int
fail(struct conn *c, int rc, const char *text)
{
    LK_GUARD(&c->t->lock);
    if (traffic_locked(c->t)->rc == 0) {
        traffic_locked(c->t)->rc = rc;
        (void)snprintf(traffic_locked(c->t)->report->violation, TEXT_SIZE, "%s", text);
    }
    atomic_store_explicit(&c->t->state, TRAFFIC_FAILED, memory_order_relaxed);
    return rc;
}

/* Try the URIs in turn; between tries wait a little, so as not to flood a server that
 * is about to come back. */
static int
connect_conn(struct conn *c, uint64_t deadline_ns)
{
    const struct traffic_params *p = c->t->params;
    const struct timespec pause = {.tv_nsec = 5 * (long)NS_PER_MS};
    char text[1024] = "";
    int rc;

    for (;;) {
        rc = link_open(p->uris[c->attempt++ % p->nr_uris], deadline_ns, &c->nbd, text,
                       sizeof(text));
        if (rc == 0) {
            traffic_op_note(c, NULL, TRAIL_CONNECTED);
            rc = traffic_op_learn(c, text, sizeof(text));
            return rc < 0 ? fail(c, rc, text) : 0;
        }
        if (state_of(c->t) == TRAFFIC_FAILED) {
            return rc;
        }
        if (p->reconnect_ns == 0 || clock_now_ns() >= deadline_ns) {
            return fail(c, rc, text);
        }
        (void)nanosleep(&pause, NULL); /* an early end only tries earlier */
    }
}

/* End what has been answered; what the library gave up becomes lost. */
static int
end_requests(struct conn *c)
{
    char text[TEXT_SIZE];
    int rc;

    for (unsigned i = 0; i < c->t->params->depth; i++) {
        struct op *op = &c->ops[i];

        if (op->state == OP_DONE && op->error == ENOTCONN) {
            op->state = OP_LOST; /* not a reply: no such error is in the protocol */
        }
        if (op->state == OP_DONE && op->error == EIO &&
            c->t->params->is_error_retried) {
            traffic_op_note(c, op, TRAIL_FAILED);
            op->state = OP_LOST; /* performed or not: as after a broken connection */
            c->report.errors++;
            c->has_failed = true;
        }
        if (op->state != OP_DONE) {
            continue;
        }
        op->state = OP_IDLE;
        c->nr_busy--;
        rc = traffic_op_end(c, op, text, sizeof(text));
        if (rc < 0) {
            return fail(c, rc, text);
        }
    }
    return 0;
}

static int
send_again(struct conn *c)
{
    for (unsigned i = 0; i < c->t->params->depth; i++) {
        struct op *op = &c->ops[i];
        bool is_lost = op->state == OP_LOST;
        int rc = is_lost ? traffic_op_again(c, op) : 0;

        if (is_lost) {
            traffic_op_send(c, op);
        }
        if (rc < 0) {
            return fail(c, rc, "model: out of memory");
        }
    }
    return 0;
}

/* The device failed some requests: send them again, but not as fast as it can fail. */
static int
retry_failed(struct conn *c)
{
    c->has_failed = false;
    (void)poll(NULL, 0, RETRY_MS); /* an early end only tries earlier */
    return send_again(c);
}

static int
break_text(const struct conn *c, int why, char *text, size_t size)
{
    (void)snprintf(text, size, "connection %u %s with %u requests in flight: %s",
                   c->index, why == -EPROTO ? "got a wrong reply" : "broke", c->nr_busy,
                   c->why_text);
    return -EILSEQ;
}

/* The connection is dead for the reason c->why. 0 when a new one took its place, 1 when
 * its end ends the phase. */
static int
replace_conn(struct conn *c)
{
    const struct traffic_params *p = c->t->params;
    char text[1200];
    int rc, why = c->why;

    c->why = 0;
    traffic_op_note(c, NULL, TRAIL_BROKEN);
    nbd_close(TAKE(c->nbd));
    rc = end_requests(c);
    for (unsigned i = 0; i < p->depth; i++) {
        if (c->ops[i].state == OP_SENT) {
            c->ops[i].state = OP_LOST;
        }
    }
    if (rc < 0) {
        return rc;
    }
    if (why != -EPROTO && p->is_break_end) {
        c->report.is_broken = true;
        end_soon(c->t);
        return 1;
    }
    if (why == -EPROTO || p->reconnect_ns == 0) {
        rc = break_text(c, why, text, sizeof(text));
        return fail(c, rc, text);
    }
    c->report.reconnects++;
    rc = connect_conn(c, clock_deadline_ns(p->reconnect_ns));
    return rc < 0 ? rc : send_again(c);
}

static int
check_age(struct conn *c)
{
    uint64_t now = clock_now_ns();
    char text[160];

    for (unsigned i = 0; i < c->t->params->depth; i++) {
        const struct op *op = &c->ops[i];

        if (op->state != OP_IDLE && now - op->start_ns > c->t->params->timeout_ns) {
            (void)snprintf(text, sizeof(text),
                           "%s on connection %u got no reply in %" PRIu64 " ms",
                           traffic_op_name(op->kind), c->index,
                           (now - op->start_ns) / NS_PER_MS);
            return fail(c, -EILSEQ, text);
        }
    }
    return 0;
}

/* Fill the free slots. 1 when the phase has no more for this connection. */
static int
begin_requests(struct conn *c)
{
    bool is_drained = c->nr_busy == 0;

    for (unsigned i = 0; c->why == 0 && i < c->t->params->depth; i++) {
        struct op *op = &c->ops[i];
        int rc;

        if (op->state != OP_IDLE) {
            continue;
        }
        rc = state_of(c->t) == TRAFFIC_RUNNING ? traffic_op_begin(c, op) : 0;
        if (rc < 0) {
            return fail(c, rc, "model: out of memory");
        }
        if (rc == 0) {
            return is_drained && c->nr_busy == 0;
        }
        c->nr_busy++;
        traffic_op_send(c, op);
    }
    return 0;
}

static int
run_conn(struct conn *c)
{
    int rc = connect_conn(c, clock_deadline_ns(c->t->params->timeout_ns));

    while (rc == 0) {
        if (state_of(c->t) == TRAFFIC_FAILED) {
            return 0;
        }
        rc = begin_requests(c);
        if (rc != 0) {
            break;
        }
        if (c->why == 0 && (nbd_poll(c->nbd, LOOK_MS) < 0 || link_is_over(c->nbd))) {
            c->why = link_judge(c->nbd, c->why_text, sizeof(c->why_text));
        }
        if (c->why != 0) {
            rc = replace_conn(c);
            continue;
        }
        rc = end_requests(c);
        rc = rc == 0 && c->has_failed ? retry_failed(c) : rc;
        rc = rc == 0 ? check_age(c) : rc;
    }
    return rc < 0 ? rc : 0;
}

static void
close_conn(struct conn *c)
{
    if (c->nbd != NULL) {
        if (c->nr_busy == 0) {
            (void)nbd_shutdown(c->nbd, 0); /* polite; the close below is enough */
        }
        nbd_close(c->nbd);
    }
    for (unsigned i = 0; i < c->t->params->depth; i++) {
        struct op *op = &c->ops[i];

        if (op->state != OP_IDLE && op->kind == TRAFFIC_READ) {
            hist_read_lost(c->t->h, &op->read);
        }
        free(op->buf);
    }
    free(c->ops);
}

static void
merge_report(struct traffic *t, const struct conn *c)
{
    LK_GUARD(&t->lock);
    struct traffic_report *to = traffic_locked(t)->report;

    for (unsigned i = 0; i < TRAFFIC_NR_OPS; i++) {
        to->ops[i] += c->report.ops[i];
    }
    to->bytes += c->report.bytes;
    to->reconnects += c->report.reconnects;
    to->sent_again += c->report.sent_again;
    to->errors += c->report.errors;
    to->is_broken = to->is_broken || c->report.is_broken;
    latency_merge(&to->latency, &c->report.latency);
    traffic_locked(t)->running--;
    cv_signal(&t->ended);
}

static void *
conn_main(void *arg)
{
    struct conn *c = arg;

    (void)run_conn(c); /* fail() has kept the reason */
    close_conn(c);
    merge_report(c->t, c);
    return NULL;
}

static int
init_conn(struct conn *c, struct traffic *t, unsigned index)
{
    const struct traffic_params *p = t->params;

    c->t = t;
    c->index = index;
    c->attempt = index;
    c->rng = (p->seed + index + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    c->ops = calloc(p->depth, sizeof(*c->ops));
    for (unsigned i = 0; c->ops != NULL && i < p->depth; i++) {
        c->ops[i].buf = malloc(p->max_block);
        if (c->ops[i].buf == NULL) {
            return -ENOMEM;
        }
    }
    return c->ops == NULL ? -ENOMEM : 0;
}

/* Until every connection has ended, look for the end of the time and the stop file. */
static int
wait_for_end(struct traffic *t)
{
    LK_GUARD(&t->lock);
    while (traffic_locked(t)->running > 0) {
        const char *stop = t->params->stop_file;

        (void)cv_wait_until(&t->ended, &t->lock,
                            clock_deadline_ns(LOOK_MS * NS_PER_MS));
        if (t->phase == TRAFFIC_RANDOM && (clock_now_ns() >= t->deadline_ns ||
                                           (stop != NULL && access(stop, F_OK) == 0))) {
            end_soon(t);
        }
    }
    return traffic_locked(t)->rc;
}

static int
run_threads(struct traffic *t, struct conn *conns, unsigned nr)
{
    pthread_t *threads = calloc(nr, sizeof(*threads));
    int rc;

    if (threads == NULL) {
        return -ENOMEM;
    }
    t->locked_.running = nr; /* no thread yet */
    for (unsigned i = 0; i < nr; i++) {
        rc = pthread_create(&threads[i], NULL, conn_main, &conns[i]);
        assert(rc == 0); /* a test tool without threads has nothing to say */
    }
    rc = wait_for_end(t);
    for (unsigned i = 0; i < nr; i++) {
        (void)pthread_join(threads[i], NULL); /* they have ended */
    }
    free(threads);
    return rc;
}

int
traffic_run(const struct traffic_params *params, enum traffic_phase phase,
            struct hist *h, struct traffic_report *report)
{
    unsigned nr = phase == TRAFFIC_RANDOM ? params->connections : 1;
    uint64_t began = clock_now_ns();
    struct traffic t = {.params = params, .phase = phase, .h = h};
    struct conn *conns = calloc(nr, sizeof(*conns));
    int rc = conns == NULL ? -ENOMEM : 0;

    t.deadline_ns = params->run_ns == 0 ? CLOCK_NEVER : began + params->run_ns;
    t.locked_.report = report;
    for (unsigned i = 0; rc == 0 && i < nr; i++) {
        rc = init_conn(&conns[i], &t, i);
    }
    assert(rc == 0); /* out of memory before anything was sent */
    lk_init(&t.lock);
    cv_init(&t.ended);
    rc = run_threads(&t, conns, nr);
    cv_done(&t.ended);
    lk_done(&t.lock);
    free(conns);
    report->ns += clock_now_ns() - began;
    return rc;
}
