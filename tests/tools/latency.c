/* SPDX-License-Identifier: BSD-3-Clause */
#include "latency.h"

#include <inttypes.h>

/* Bucket 8 * e + m: the three bits after the top bit e are m. */
static unsigned
bucket_of(uint64_t ns)
{
    unsigned e;

    if (ns < 8) {
        return (unsigned)ns;
    }
    e = 63 - (unsigned)__builtin_clzll(ns);
    return e * 8 + (unsigned)((ns >> (e - 3)) & 7);
}

static uint64_t
bucket_end(unsigned bucket)
{
    unsigned e = bucket / 8, m = bucket % 8;

    return e < 3 ? bucket : ((UINT64_C(9) + m) << (e - 3)) - 1;
}

void
latency_add(struct latency *l, uint64_t ns)
{
    l->nr++;
    l->bucket[bucket_of(ns)]++;
    l->max_ns = ns > l->max_ns ? ns : l->max_ns;
}

void
latency_merge(struct latency *to, const struct latency *from)
{
    to->nr += from->nr;
    to->max_ns = from->max_ns > to->max_ns ? from->max_ns : to->max_ns;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        to->bucket[i] += from->bucket[i];
    }
}

uint64_t
latency_quantile_ns(const struct latency *l, unsigned permille)
{
    uint64_t rest = l->nr * permille / 1000;

    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        if (l->bucket[i] > rest) {
            return bucket_end(i) < l->max_ns ? bucket_end(i) : l->max_ns;
        }
        rest -= l->bucket[i];
    }
    return l->max_ns;
}

void
latency_print(const struct latency *l, FILE *to)
{
    for (unsigned e = 0; e < 64; e++) {
        uint64_t nr = 0;

        for (unsigned m = 0; m < 8; m++) {
            nr += l->bucket[e * 8 + m];
        }
        if (nr > 0) {
            (void)fprintf(to, "  under %12" PRIu64 " us: %" PRIu64 "\n",
                          ((UINT64_C(2) << e) + 999) / 1000, nr);
        }
    }
}
