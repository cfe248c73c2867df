/* SPDX-License-Identifier: BSD-3-Clause */
/* latency.h - a histogram of times, exact to an eighth. Not thread-safe: one for each
 * thread, added up at the end. */
#ifndef BATON_LATENCY_H
#define BATON_LATENCY_H

#include <stdint.h>
#include <stdio.h>

#define LATENCY_BUCKETS (64 * 8)

struct latency {
    uint64_t nr;
    uint64_t max_ns;
    uint64_t bucket[LATENCY_BUCKETS];
};

void latency_add(struct latency *l, uint64_t ns);
void latency_merge(struct latency *to, const struct latency *from);

/* The time that permille of the requests stayed under (the bucket's upper end). */
uint64_t latency_quantile_ns(const struct latency *l, unsigned permille);

/* One line for each power of two that has requests. */
void latency_print(const struct latency *l, FILE *to);

#endif
