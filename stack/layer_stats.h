/* SPDX-License-Identifier: BSD-3-Clause */
/* layer_stats.h - counts requests and their latencies; stack_open() puts one on top. */
#ifndef BATON_LAYER_STATS_H
#define BATON_LAYER_STATS_H

#include <stdint.h>

#include "port.h"

/* Takes no parameters. -ENOMEM. */
int layer_stats_new(struct port *below, struct port **ret_layer);

/* Percentiles are upper bounds of histogram buckets, at most 1/16 above the true value.
 */
struct layer_latency {
    uint64_t count, errors, bytes;
    uint64_t p50_ns, p99_ns, p999_ns, max_ns;
};

/* p was made by layer_stats_new(). Every request that ended is counted, but for those
 * that nobody performed (-ESTALE); bytes are those of requests that returned 0. */
void layer_stats_latency(struct port *p, enum req_op op,
                         struct layer_latency *ret_latency);

#endif
