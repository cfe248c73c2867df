/* SPDX-License-Identifier: BSD-3-Clause */
/* histogram.h - how often which value occurred (hist_*), log-linear: 16 buckets per
 * power of two, so a bucket's upper bound is at most 1/16 above any value in it. Values
 * below 16 are exact; every uint64_t has a bucket.
 *
 * A histogram is zeroed memory, nothing else: no init, no allocation when a value is
 * added. Put it into fresh anonymous pages and only those that are used cost memory:
 * of nanoseconds below 25 s, one page per stripe. Functions may be called on any
 * thread and at the same time as each other.
 */
#ifndef BATON_HISTOGRAM_H
#define BATON_HISTOGRAM_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#define HIST_STRIPES 4U
#define HIST_SUB_BITS 4U /* 16 buckets per power of two */
#define HIST_NR_BUCKETS (((64U - HIST_SUB_BITS) + 1) << HIST_SUB_BITS)

/* All counters are relaxed: each is a sum or a maximum of its own, nothing is published
 * through them, and a reader accepts values that are some requests old. */
struct histogram {
    struct hist_stripe {
        alignas(4096) _Atomic uint64_t max;
        alignas(64) _Atomic uint64_t buckets[HIST_NR_BUCKETS];
    } stripes[HIST_STRIPES];
};

/* The stripe of the calling thread, fixed for the thread's life. */
unsigned hist_stripe(void);

/* Count value in the stripe of the calling thread. */
void hist_add(struct histogram *h, unsigned stripe, uint64_t value);

uint64_t hist_count(const struct histogram *h);
uint64_t hist_max(const struct histogram *h); /* 0 when empty */

/* The smallest bucket bound that at least permille / 1000 of the values do not exceed,
 * and never more than the maximum; 0 when empty. permille is 1..1000. */
uint64_t hist_percentile(const struct histogram *h, unsigned permille);

/* The bucket of a value, and the largest value of a bucket. */
unsigned hist_bucket(uint64_t value);
uint64_t hist_bucket_bound(unsigned bucket);

#endif
