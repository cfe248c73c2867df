/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.h - the monotonic clock. Every wait in Baton ends at an absolute time of this
 * clock (a "deadline_ns") or is CLOCK_NEVER; wall-clock time is for people only. */
#ifndef BATON_CLOCK_H
#define BATON_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER UINT64_MAX
#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t clock_now_ns(void);

/* now + ns, or CLOCK_NEVER when that does not fit (so CLOCK_NEVER stays never). */
uint64_t clock_deadline_ns(uint64_t ns);

struct timespec clock_to_timespec(uint64_t ns);

/* Let about ns pass, between two questions to somebody who tells only when asked. What
 * can be told waits on a condvar or an fd instead. */
void clock_pass(uint64_t ns);

/* Milliseconds until deadline_ns for poll(2): 0 when passed, -1 for CLOCK_NEVER,
 * rounded up so that a poll never ends before the deadline. */
int clock_poll_ms(uint64_t deadline_ns);

static inline uint64_t
clock_earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

#endif
