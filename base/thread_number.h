/* SPDX-License-Identifier: BSD-3-Clause */
/* thread_number.h - a thread's number: the first that asks is 0, the next 1, and so on.
 * It is the same for the thread's whole life, whoever asks. number % N spreads threads
 * over N counters or connections. */
#ifndef BATON_THREAD_NUMBER_H
#define BATON_THREAD_NUMBER_H

/* Of the calling thread, plus 1; 0 until it is asked for. Only thread_number() reads
 * it: the data path asks once for each counter, and pays for no call. Hidden, so that
 * the plugin does not look for it in other libraries of the process either. */
extern _Thread_local unsigned thread_number_plus_1
    __attribute__((visibility("hidden")));
unsigned thread_number_first(void); /* the calling thread gets its number */

static inline unsigned
thread_number(void)
{
    return thread_number_plus_1 != 0 ? thread_number_plus_1 - 1 : thread_number_first();
}

#endif
