/* SPDX-License-Identifier: BSD-3-Clause */
#include "thread_number.h"

#include <stdatomic.h>

_Thread_local unsigned thread_number_plus_1;

unsigned
thread_number_first(void)
{
    /* Relaxed: it only spreads. After 2^32 threads one gets its number at each call. */
    static _Atomic unsigned next;

    thread_number_plus_1 =
        1 + atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
    return thread_number_plus_1 - 1;
}
