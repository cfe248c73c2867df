/* SPDX-License-Identifier: BSD-3-Clause */
/* underway.h - since when is which request under way, for people who look.
 *
 * A request stays on one thread from its entry to its answer, so each thread has one
 * place to note it, and notes it with a store or two: nothing is shared, nothing waits.
 * A reader goes through all threads; what it sees may be a request late. */
#ifndef BATON_UNDERWAY_H
#define BATON_UNDERWAY_H

#include <stdint.h>

/* This thread has taken on a request at now_ns (clock.h). */
void underway_begin(uint64_t now_ns);

/* It is at `place` now, by whose address others ask. */
void underway_at(const void *place);

/* It has its answer. */
void underway_end(void);

/* When the oldest of those that are at `place` began; 0: there is none. */
uint64_t underway_oldest_ns(const void *place);

#endif
