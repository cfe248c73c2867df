/* SPDX-License-Identifier: BSD-3-Clause */
#include "nbd_spread.h"

#include <stdatomic.h>

unsigned
nbd_spread(unsigned nr)
{
    static _Atomic unsigned threads; /* relaxed: it only spreads */
    static _Thread_local unsigned number;

    if (number == 0) {
        number = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
    }
    return number % nr;
}
