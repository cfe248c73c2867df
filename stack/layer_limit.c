/* SPDX-License-Identifier: BSD-3-Clause */
/* Token buckets. Every request costs one token of iops; a read or write also costs its
 * length in tokens of bps (a trim or zero carries no data). A request is admitted when
 * both buckets hold what it costs; one that costs more than a bucket can hold is
 * admitted when that bucket is full and leaves it in debt, so that any length passes
 * and the average still holds.
 *
 * A request that cannot be admitted waits in a list, on the thread that brought it.
 * Only the head has a deadline; when it goes it wakes the next. So admission is in
 * order of arrival, and a small request never overtakes a large one. */
#include "layer_limit.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "clock.h"
#include "layer_param.h"
#include "layers.h"

#define MAX_IOPS UINT64_C(1000000000)
#define MAX_BURST_S 3600

/* level and capacity are in 1/NS_PER_S of a token, so that rate times nanoseconds is
 * exact; they need more than 64 bits. */
struct bucket {
    uint64_t rate; /* tokens a second; 0: no limit */
    __int128 level;
    __int128 capacity;
};

struct waiter {
    struct waiter *next;
    struct cv cv;
};

struct limit {
    struct port port;
    struct port *below;
    struct limit_clock *clock;
    struct lk lock; /* leaf: no port is called while holding it */
    struct limit_locked {
        struct bucket ops, bytes;
        uint64_t filled_ns; /* up to when the buckets have been filled */
        struct waiter *head, **tail;
    } locked_; /* reach it only through limit_locked() */
};

static struct limit_locked *limit_locked(struct limit *l) LK_REQUIRES(l->lock);

static struct limit_locked *
limit_locked(struct limit *l)
{
    return &l->locked_;
}

static void
bucket_init(struct bucket *b, uint64_t rate, uint64_t burst_s)
{
    b->rate = rate;
    b->capacity = (__int128)rate * burst_s * NS_PER_S;
    b->level = b->capacity;
}

static void
bucket_fill(struct bucket *b, uint64_t elapsed_ns)
{
    b->level += (__int128)b->rate * elapsed_ns;
    if (b->level > b->capacity) {
        b->level = b->capacity;
    }
}

/* How long until a request of this cost can be admitted? */
static uint64_t
bucket_wait_ns(const struct bucket *b, uint32_t tokens)
{
    __int128 need = (__int128)tokens * NS_PER_S;

    if (need > b->capacity) {
        need = b->capacity;
    }
    if (b->rate == 0 || b->level >= need) {
        return 0;
    }
    return (uint64_t)((need - b->level + b->rate - 1) / b->rate);
}

static uint32_t
cost_in_bytes(const struct req *rq)
{
    return rq->op == REQ_READ || rq->op == REQ_WRITE ? rq->len : 0;
}

/* Pay for rq and return 0, or return the time at which it is worth trying again. */
static uint64_t
try_pay_locked(struct limit *l, const struct req *rq) LK_REQUIRES(l->lock)
{
    struct limit_locked *s = limit_locked(l);
    uint64_t now = l->clock->now_ns(l->clock), ops_ns, bytes_ns;

    bucket_fill(&s->ops, now - s->filled_ns);
    bucket_fill(&s->bytes, now - s->filled_ns);
    s->filled_ns = now;
    ops_ns = bucket_wait_ns(&s->ops, 1);
    bytes_ns = bucket_wait_ns(&s->bytes, cost_in_bytes(rq));
    if (ops_ns > 0 || bytes_ns > 0) {
        return now + (ops_ns > bytes_ns ? ops_ns : bytes_ns);
    }
    if (s->ops.rate > 0) {
        s->ops.level -= NS_PER_S;
    }
    if (s->bytes.rate > 0) {
        s->bytes.level -= (__int128)cost_in_bytes(rq) * NS_PER_S;
    }
    return 0;
}

/* Wait in the list until rq is its head and has been paid for. */
static void
queue_locked(struct limit *l, const struct req *rq) LK_REQUIRES(l->lock)
{
    struct limit_locked *s = limit_locked(l);
    struct waiter me = {.next = NULL};
    uint64_t deadline_ns;

    cv_init(&me.cv);
    *s->tail = &me;
    s->tail = &me.next;
    for (;;) {
        deadline_ns = s->head == &me ? try_pay_locked(l, rq) : CLOCK_NEVER;
        if (deadline_ns == 0) {
            break;
        }
        /* Woken or timed out makes no difference: look again. */
        (void)l->clock->wait_until(l->clock, &me.cv, &l->lock, deadline_ns);
    }
    s->head = me.next;
    if (s->head == NULL) {
        s->tail = &s->head;
    } else {
        cv_signal(&s->head->cv);
    }
    cv_done(&me.cv);
}

static void
admit(struct limit *l, const struct req *rq)
{
    LK_GUARD(&l->lock);

    if (limit_locked(l)->head != NULL || try_pay_locked(l, rq) != 0) {
        queue_locked(l, rq);
    }
}

static int
limit_submit(struct port *p, const struct req *rq)
{
    struct limit *l = (struct limit *)p;

    admit(l, rq);
    return port_submit(l->below, rq);
}

static void
limit_close(struct port *p) LK_UNCHECKED /* nobody else has it any more */
{
    struct limit *l = (struct limit *)p;

    assert(l->locked_.head == NULL); /* no request is in flight */
    lk_done(&l->lock);
    free(l);
}

static const struct port_ops limit_ops = {
    .name = "limit",
    .says_may_block = true,
    .submit = limit_submit,
    .close = limit_close,
};

int
layer_limit_new(struct port *below, const struct limit_rates *rates,
                struct limit_clock *clock, struct port **ret_layer)
{
    struct limit *l = calloc(1, sizeof *l);

    assert(rates->burst_s > 0);
    if (l == NULL) {
        return -ENOMEM;
    }
    l->port = (struct port){.ops = &limit_ops, .info = below->info};
    l->below = below;
    l->clock = clock;
    lk_init(&l->lock);
    bucket_init(&l->locked_.ops, rates->iops, rates->burst_s);
    bucket_init(&l->locked_.bytes, rates->bps, rates->burst_s);
    l->locked_.filled_ns = clock->now_ns(clock);
    l->locked_.tail = &l->locked_.head;
    *ret_layer = &l->port;
    return 0;
}

static uint64_t
monotonic_now(struct limit_clock *c)
{
    (void)c; /* has no state */
    return clock_now_ns();
}

static int
monotonic_wait(struct limit_clock *c, struct cv *cv, struct lk *l, uint64_t deadline_ns)
    LK_REQUIRES(*l)
{
    (void)c; /* has no state */
    return cv_wait_until(cv, l, deadline_ns);
}

static struct limit_clock monotonic = {.now_ns = monotonic_now,
                                       .wait_until = monotonic_wait};

static int
parse(const struct layer_param *params, unsigned nr, struct err *e,
      struct limit_rates *ret_rates)
{
    static const char *const keys[] = {"iops", "bps", "burst", NULL};
    const char *iops = layer_param_get(params, nr, "iops");
    const char *bps = layer_param_get(params, nr, "bps");
    const char *burst = layer_param_get(params, nr, "burst");
    int rc = layer_param_check(&layer_limit, keys, params, nr, e);

    *ret_rates = (struct limit_rates){.burst_s = 1};
    if (rc == 0 && iops == NULL && bps == NULL) {
        rc = err_set(e, -EINVAL, "iops or bps is missing; allowed: %s",
                     layer_limit.params);
    }
    if (rc == 0 && iops != NULL) {
        rc = layer_param_number("iops", iops, 1, MAX_IOPS, e, &ret_rates->iops);
    }
    if (rc == 0 && bps != NULL) {
        rc = layer_param_bytes("bps", bps, e, &ret_rates->bps);
        if (rc == 0 && ret_rates->bps == 0) {
            rc = err_set(e, -EINVAL, "bps=%s: must be more than 0", bps);
        }
    }
    if (rc == 0 && burst != NULL) {
        rc = layer_param_number("burst", burst, 1, MAX_BURST_S, e, &ret_rates->burst_s);
    }
    return rc;
}

static int
limit_check(const struct layer_param *params, unsigned nr, struct err *e)
{
    struct limit_rates rates;

    return parse(params, nr, e, &rates);
}

static int
limit_open(struct port *below, const struct layer_param *params, unsigned nr,
           struct err *e, struct port **ret_layer)
{
    struct limit_rates rates;
    int rc = parse(params, nr, e, &rates);

    if (rc < 0) {
        return rc;
    }
    rc = layer_limit_new(below, &rates, &monotonic, ret_layer);
    return rc < 0 ? err_set(e, rc, "out of memory") : 0;
}

const struct layer_type layer_limit = {
    .name = "limit",
    .params = "iops=NUMBER, bps=BYTES (K, M, G, T), burst=SECONDS",
    .check = limit_check,
    .open = limit_open,
};
