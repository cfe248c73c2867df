/* SPDX-License-Identifier: BSD-3-Clause */
/* Each request passes three stations before it reaches the inner port: it is counted
 * (and fails if it is the n-th), it is delayed, and it is held if it matches a tag.
 *
 * A hold is a slot. It is ARMED until its tag is released; then its waiters leave, and
 * the last one to leave frees it. A tag that is armed again meanwhile gets another
 * slot. Only slots armed before a request arrived hold it, so a waiter that leaves is
 * not caught again by the new one. */
#include "port_fault.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "lock.h"

#define NR_HOLDS 16

enum hold_state { HOLD_FREE, HOLD_ARMED, HOLD_RELEASED };

struct hold {
    enum hold_state state;
    const char *tag;
    enum req_op op;
    uint64_t off;
    uint64_t serial;  /* order of arming */
    unsigned nr_held; /* requests that wait in this slot */
    int rc;           /* RELEASED: what they are to return, 0 to go on */
};

struct fault {
    struct port port;
    struct port *inner; /* owned; fixed */
    struct lk lock;     /* leaf: not held while inner is called or a delay passes */
    struct cv changed;  /* a request was held, or a slot released */
    struct fault_locked {
        uint64_t countdown; /* the request that makes it 0 fails; 0 is off */
        int fail_rc;
        bool fails_for_ever;
        bool was_hit;
        uint64_t delay_ns;
        uint64_t nr_armed; /* holds that were ever armed */
        struct hold holds[NR_HOLDS];
    } locked_;
};

static struct fault_locked *
fault_locked(struct fault *f) LK_REQUIRES(f->lock)
{
    return &f->locked_;
}

static int fault_submit(struct port *p, const struct req *rq);

static struct fault *
fault_of(struct port *p)
{
    assert(p->ops->submit == fault_submit);
    return (struct fault *)p;
}

static int
count_locked(struct fault *f, uint64_t *ret_delay_ns) LK_REQUIRES(f->lock)
{
    struct fault_locked *d = fault_locked(f);

    *ret_delay_ns = d->delay_ns;
    if (d->countdown == 0 || --d->countdown > 0) {
        return 0;
    }
    d->countdown = d->fails_for_ever ? 1 : 0;
    d->was_hit = true;
    return d->fail_rc;
}

static int
count(struct fault *f, uint64_t *ret_delay_ns)
{
    LK_GUARD(&f->lock);
    return count_locked(f, ret_delay_ns);
}

static void
pass_delay(uint64_t delay_ns)
{
    struct timespec until = clock_to_timespec(clock_deadline_ns(delay_ns));

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

static bool
matches(const struct hold *h, const struct req *rq, uint64_t last_serial)
{
    if (h->state != HOLD_ARMED || h->op != rq->op || h->serial > last_serial) {
        return false;
    }
    return rq->op == REQ_FLUSH || (h->off >= rq->off && h->off - rq->off < rq->len);
}

static struct hold *
find_hold_locked(struct fault *f, const struct req *rq, uint64_t last_serial)
    LK_REQUIRES(f->lock)
{
    struct fault_locked *d = fault_locked(f);

    for (int i = 0; i < NR_HOLDS; i++) {
        if (matches(&d->holds[i], rq, last_serial)) {
            return &d->holds[i];
        }
    }
    return NULL;
}

/* Wait in every slot that matches, one after the other. */
static int
pass_holds(struct fault *f, const struct req *rq)
{
    uint64_t last_serial;
    struct hold *h;
    int rc = 0;

    LK_GUARD(&f->lock);
    last_serial = fault_locked(f)->nr_armed;
    while (rc == 0 && (h = find_hold_locked(f, rq, last_serial)) != NULL) {
        h->nr_held++;
        cv_broadcast(&f->changed);
        while (h->state == HOLD_ARMED) {
            (void)cv_wait_until(&f->changed, &f->lock, CLOCK_NEVER); /* always 0 */
        }
        rc = h->rc;
        if (--h->nr_held == 0) {
            h->state = HOLD_FREE;
        }
    }
    return rc;
}

static int
fault_submit(struct port *p, const struct req *rq)
{
    struct fault *f = fault_of(p);
    uint64_t delay_ns;
    int rc = count(f, &delay_ns);

    if (rc < 0) {
        return rc;
    }
    if (delay_ns > 0) {
        pass_delay(delay_ns);
    }
    rc = pass_holds(f, rq);
    return rc < 0 ? rc : port_submit(f->inner, rq);
}

static int
fault_own(struct port *p, struct err *e)
{
    return port_own(fault_of(p)->inner, e);
}

static void
fault_disown(struct port *p)
{
    port_disown(fault_of(p)->inner);
}

static int
fault_identify(struct port *p, char *id, int id_size)
{
    return port_identify(fault_of(p)->inner, id, id_size);
}

static void
fault_note_lost(struct port *p, int rc)
{
    port_note_lost(fault_of(p)->inner, rc);
}

static void
check_nothing_held(struct fault *f)
{
    LK_GUARD(&f->lock);
    for (int i = 0; i < NR_HOLDS; i++) {
        assert(fault_locked(f)->holds[i].nr_held == 0);
    }
}

static void
fault_close(struct port *p)
{
    struct fault *f = fault_of(p);

    check_nothing_held(f);
    port_close(f->inner);
    cv_done(&f->changed);
    lk_done(&f->lock);
    free(f);
}

static const struct port_ops fault_ops = {.name = "fault",
                                          .submit = fault_submit,
                                          .own = fault_own,
                                          .disown = fault_disown,
                                          .identify = fault_identify,
                                          .note_lost = fault_note_lost,
                                          .close = fault_close};

int
port_fault_new(struct port *inner, struct port **ret_port)
{
    struct fault *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return -ENOMEM;
    }
    f->port.ops = &fault_ops;
    f->port.info = inner->info;
    f->inner = inner;
    lk_init(&f->lock);
    cv_init(&f->changed);
    *ret_port = &f->port;
    return 0;
}

void
port_fault_fail_nth(struct port *p, uint64_t n, int rc, bool for_ever)
{
    struct fault *f = fault_of(p);
    struct fault_locked *d;

    assert(n == 0 || (rc < 0 && rc > -4096));
    LK_GUARD(&f->lock);
    d = fault_locked(f);
    d->countdown = n;
    d->fail_rc = rc;
    d->fails_for_ever = for_ever;
    d->was_hit = false;
}

bool
port_fault_hit(struct port *p)
{
    struct fault *f = fault_of(p);

    LK_GUARD(&f->lock);
    return fault_locked(f)->was_hit;
}

void
port_fault_delay(struct port *p, uint64_t ns)
{
    struct fault *f = fault_of(p);

    LK_GUARD(&f->lock);
    fault_locked(f)->delay_ns = ns;
}

void
port_fault_hold(struct port *p, const char *tag, enum req_op op, uint64_t off)
{
    struct fault *f = fault_of(p);
    struct hold *h;
    int i = 0;

    LK_GUARD(&f->lock);
    while (i < NR_HOLDS && fault_locked(f)->holds[i].state != HOLD_FREE) {
        i++;
    }
    assert(i < NR_HOLDS); /* the limit in the header */
    h = &fault_locked(f)->holds[i];
    *h = (struct hold){.state = HOLD_ARMED,
                       .tag = tag,
                       .op = op,
                       .off = off,
                       .serial = ++fault_locked(f)->nr_armed};
}

static bool
is_armed_as(const struct hold *h, const char *tag)
{
    return h->state == HOLD_ARMED && strcmp(h->tag, tag) == 0;
}

static bool
is_held_locked(struct fault *f, const char *tag) LK_REQUIRES(f->lock)
{
    struct fault_locked *d = fault_locked(f);

    for (int i = 0; i < NR_HOLDS; i++) {
        if (is_armed_as(&d->holds[i], tag) && d->holds[i].nr_held > 0) {
            return true;
        }
    }
    return false;
}

int
port_fault_wait_held(struct port *p, const char *tag, uint64_t deadline_ns)
{
    struct fault *f = fault_of(p);

    LK_GUARD(&f->lock);
    while (!is_held_locked(f, tag)) {
        if (cv_wait_until(&f->changed, &f->lock, deadline_ns) < 0) {
            return is_held_locked(f, tag) ? 0 : -ETIMEDOUT;
        }
    }
    return 0;
}

void
port_fault_release(struct port *p, const char *tag, int rc)
{
    struct fault *f = fault_of(p);
    struct hold *h;

    assert(rc <= 0 && rc > -4096);
    LK_GUARD(&f->lock);
    for (int i = 0; i < NR_HOLDS; i++) {
        h = &fault_locked(f)->holds[i];
        if (is_armed_as(h, tag)) {
            h->rc = rc;
            h->state = h->nr_held > 0 ? HOLD_RELEASED : HOLD_FREE;
        }
    }
    cv_broadcast(&f->changed);
}
