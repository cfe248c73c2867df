/* SPDX-License-Identifier: BSD-3-Clause */
#include "histogram.h"

#include <assert.h>

#include "thread_number.h"

#define SUB (1U << HIST_SUB_BITS)

unsigned
hist_stripe(void)
{
    return thread_number() % HIST_STRIPES;
}

unsigned
hist_bucket(uint64_t value)
{
    unsigned top;

    if (value < SUB) {
        return (unsigned)value;
    }
    top = 63U - (unsigned)__builtin_clzll(value);
    return ((top - HIST_SUB_BITS + 1) << HIST_SUB_BITS) |
           ((unsigned)(value >> (top - HIST_SUB_BITS)) & (SUB - 1));
}

uint64_t
hist_bucket_bound(unsigned bucket)
{
    unsigned shift;

    assert(bucket < HIST_NR_BUCKETS);
    if (bucket < SUB) {
        return bucket;
    }
    shift = (bucket >> HIST_SUB_BITS) - 1;
    /* The last bucket's end is 2^64: it wraps to 0, and back to the largest value. */
    return ((SUB + (uint64_t)(bucket & (SUB - 1)) + 1) << shift) - 1;
}

void
hist_add(struct histogram *h, unsigned stripe, uint64_t value)
{
    struct hist_stripe *s = &h->stripes[stripe];
    uint64_t max = atomic_load_explicit(&s->max, memory_order_relaxed);

    atomic_fetch_add_explicit(&s->buckets[hist_bucket(value)], 1, memory_order_relaxed);
    while (value > max &&
           !atomic_compare_exchange_weak_explicit(
               &s->max, &max, value, memory_order_relaxed, memory_order_relaxed)) {
        /* max is what another thread of the stripe left there */
    }
}

static uint64_t
bucket_count(const struct histogram *h, unsigned bucket)
{
    uint64_t n = 0;
    unsigned i;

    for (i = 0; i < HIST_STRIPES; i++) {
        n += atomic_load_explicit(&h->stripes[i].buckets[bucket], memory_order_relaxed);
    }
    return n;
}

uint64_t
hist_count(const struct histogram *h)
{
    uint64_t n = 0;
    unsigned b;

    for (b = 0; b < HIST_NR_BUCKETS; b++) {
        n += bucket_count(h, b);
    }
    return n;
}

uint64_t
hist_max(const struct histogram *h)
{
    uint64_t max = 0, m;
    unsigned i;

    for (i = 0; i < HIST_STRIPES; i++) {
        m = atomic_load_explicit(&h->stripes[i].max, memory_order_relaxed);
        max = m > max ? m : max;
    }
    return max;
}

uint64_t
hist_percentile(const struct histogram *h, unsigned permille)
{
    uint64_t count = hist_count(h), max = hist_max(h), seen = 0, bound, rank;
    unsigned b;

    assert(permille >= 1 && permille <= 1000);
    if (count == 0) {
        return 0;
    }
    /* Rounded up, in two parts so that it cannot overflow. */
    rank = count / 1000 * permille + (count % 1000 * permille + 999) / 1000;
    for (b = 0; b < HIST_NR_BUCKETS; b++) {
        seen += bucket_count(h, b);
        if (seen >= rank) {
            bound = hist_bucket_bound(b);
            return bound < max ? bound : max;
        }
    }
    return max; /* not reached: counts only grow */
}
