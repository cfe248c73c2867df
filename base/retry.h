/* SPDX-License-Identifier: BSD-3-Clause */
/* retry.h - how often many that wait for the same may try. A few try often, so that
 * nobody waits for long after what is awaited is back; a thousand, each as often, would
 * keep it from coming back. */
#ifndef BATON_RETRY_H
#define BATON_RETRY_H

#include <stdint.h>

#include "clock.h"

#define RETRY_MIN_NS (10 * NS_PER_MS)  /* after the first failure; it doubles up to */
#define RETRY_FEW_NS (160 * NS_PER_MS) /* while few try, or */
#define RETRY_EACH_NS (2 * NS_PER_MS)  /* so much for each that tries, or */
#define RETRY_MAX_NS NS_PER_S

/* The longest pause between two tries of one of nr that try. */
static inline uint64_t
retry_max_ns(unsigned nr)
{
    uint64_t ns = nr * RETRY_EACH_NS;

    return ns < RETRY_FEW_NS ? RETRY_FEW_NS : clock_earlier(ns, RETRY_MAX_NS);
}

#endif
