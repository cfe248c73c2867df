/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts and latencies of each operation. The whole layer is one anonymous mapping:
 * pages of operations, stripes and latencies that do not occur are never touched, so a
 * disk costs some 50 KiB, and not the 228 KiB of the address range, and the data path
 * neither allocates nor asks whether something is allocated. */
#include "layer_stats.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "clock.h"
#include "histogram.h"
#include "layer_param.h"
#include "layers.h"
#include "underway.h"

struct stats {
    struct port port;
    struct port *below;
    /* Relaxed, as in histogram.h: sums that publish nothing. */
    struct stats_totals {
        alignas(64) struct {
            _Atomic uint64_t errors, bytes;
        } ops[REQ_NR_OPS];
    } totals[HIST_STRIPES];
    struct histogram latency_ns[REQ_NR_OPS];
};

static int
stats_submit(struct port *p, const struct req *rq)
{
    struct stats *s = (struct stats *)p;
    uint64_t start_ns = clock_now_ns();
    unsigned stripe = hist_stripe();
    int rc;

    underway_begin(start_ns);
    rc = port_submit(s->below, rq);
    underway_end();
    if (rc == -ESTALE) {
        return rc; /* not performed: the caller sends it elsewhere */
    }
    hist_add(&s->latency_ns[rq->op], stripe, clock_now_ns() - start_ns);
    if (rc < 0) {
        atomic_fetch_add_explicit(&s->totals[stripe].ops[rq->op].errors, 1,
                                  memory_order_relaxed);
    } else if (rq->len > 0) {
        atomic_fetch_add_explicit(&s->totals[stripe].ops[rq->op].bytes, rq->len,
                                  memory_order_relaxed);
    }
    return rc;
}

static void
stats_close(struct port *p)
{
    (void)munmap(p, sizeof(struct stats)); /* of what mmap returned: cannot fail */
}

static const struct port_ops stats_ops = {
    .name = "stats",
    .says_may_block = true,
    .submit = stats_submit,
    .close = stats_close,
};

int
layer_stats_new(struct port *below, struct port **ret_layer)
{
    struct stats *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (s == MAP_FAILED) {
        return -ENOMEM;
    }
    s->port = (struct port){.ops = &stats_ops, .info = below->info};
    s->below = below;
    *ret_layer = &s->port;
    return 0;
}

void
layer_stats_latency(struct port *p, enum req_op op, struct layer_latency *ret_latency)
{
    const struct stats *s = (const struct stats *)p;
    const struct histogram *h = &s->latency_ns[op];
    struct layer_latency l = {.count = hist_count(h),
                              .p50_ns = hist_percentile(h, 500),
                              .p99_ns = hist_percentile(h, 990),
                              .p999_ns = hist_percentile(h, 999),
                              .max_ns = hist_max(h)};
    unsigned i;

    for (i = 0; i < HIST_STRIPES; i++) {
        l.errors +=
            atomic_load_explicit(&s->totals[i].ops[op].errors, memory_order_relaxed);
        l.bytes +=
            atomic_load_explicit(&s->totals[i].ops[op].bytes, memory_order_relaxed);
    }
    *ret_latency = l;
}

static int
stats_check(const struct layer_param *params, unsigned nr, struct err *e)
{
    static const char *const keys[] = {NULL};

    return layer_param_check(&layer_stats, keys, params, nr, e);
}

static int
stats_open(struct port *below, const struct layer_param *params, unsigned nr,
           struct err *e, struct port **ret_layer)
{
    int rc = stats_check(params, nr, e);

    if (rc < 0) {
        return rc;
    }
    rc = layer_stats_new(below, ret_layer);
    return rc < 0 ? err_set(e, rc, "out of memory") : 0;
}

const struct layer_type layer_stats = {
    .name = "stats",
    .params = "none",
    .check = stats_check,
    .open = stats_open,
};
