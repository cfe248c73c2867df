/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"

#include <assert.h>
#include <limits.h>

uint64_t
clock_now_ns(void)
{
    struct timespec ts;
    int rc = clock_gettime(CLOCK_MONOTONIC, &ts);

    assert(rc == 0);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_deadline_ns(uint64_t ns)
{
    uint64_t now = clock_now_ns();

    return ns > UINT64_MAX - now ? CLOCK_NEVER : now + ns;
}

struct timespec
clock_to_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
                             .tv_nsec = (long)(ns % NS_PER_S)};
}

void
clock_pass(uint64_t ns)
{
    const struct timespec ts = clock_to_timespec(ns);

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL); /* a signal may end it */
}

int
clock_poll_ms(uint64_t deadline_ns)
{
    uint64_t now, ms;

    if (deadline_ns == CLOCK_NEVER) {
        return -1;
    }
    now = clock_now_ns();
    if (deadline_ns <= now) {
        return 0;
    }
    ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}
