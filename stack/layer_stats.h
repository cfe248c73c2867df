/* SPDX-License-Identifier: BSD-3-Clause */
/* layer_stats.h - counts requests and their latencies; stack_open() puts one on top. */
#ifndef BATON_LAYER_STATS_H
#define BATON_LAYER_STATS_H

#include "port.h"
#include "stack.h"

/* Takes no parameters. -ENOMEM. */
int layer_stats_new(struct port *below, struct port **ret_layer);

/* p was made by layer_stats_new(). Every request that ended is counted, but for those
 * that nobody performed (-ESTALE); bytes are those of requests that returned 0. */
void layer_stats_latency(struct port *p, enum req_op op,
                         struct stack_latency *ret_latency);

#endif
