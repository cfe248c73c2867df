/* SPDX-License-Identifier: BSD-3-Clause */
/* layer_limit.h - at most so many requests and bytes a second, in order of arrival. */
#ifndef BATON_LAYER_LIMIT_H
#define BATON_LAYER_LIMIT_H

#include "lock.h"
#include "port.h"

/* The time that a limit goes by; tests bring their own. Lent: outlives the layer. */
struct limit_clock {
    uint64_t (*now_ns)(struct limit_clock *c);
    /* As cv_wait_until(), with a deadline of this clock; l is held. */
    int (*wait_until)(struct limit_clock *c, struct cv *cv, struct lk *l,
                      uint64_t deadline_ns);
};

struct limit_rates {
    uint64_t iops;    /* requests a second; 0: any number */
    uint64_t bps;     /* bytes of reads and writes a second; 0: any number */
    uint64_t burst_s; /* what an idle time may save up, in seconds of each rate, > 0 */
};

/* The bucket is full at first. -ENOMEM. */
int layer_limit_new(struct port *below, const struct limit_rates *rates,
                    struct limit_clock *clock, struct port **ret_layer);

#endif
