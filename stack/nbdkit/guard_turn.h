/* SPDX-License-Identifier: BSD-3-Clause */
/* guard_turn.h - private to the guard (entry_guard.c): whose turn it is to read the
 * next request of a connection (turn_*). See entry_guard_turn.c. */
#ifndef BATON_GUARD_TURN_H
#define BATON_GUARD_TURN_H

#include <stdbool.h>
#include <stddef.h>

/* The calling worker has just read a request from fd that will hardly block: let it
 * keep the turn when it unlocks. */
__attribute__((visibility("hidden"))) void turn_keep(int fd);

/* The descriptor of the calling thread's turn, if it has one. */
__attribute__((visibility("hidden"))) int turn_fd(void);

/* Does the calling thread have a turn that it has unlocked already? */
__attribute__((visibility("hidden"))) bool turn_is_kept(void);

/* Does the calling thread hold a lock that its user has not unlocked? */
__attribute__((visibility("hidden"))) bool turn_holds_a_lock(void);

/* The calling thread is about to wait for the next request. It must have locked again
 * what it kept: if not, this nbdkit is none that we know, and nobody keeps a turn any
 * more. */
__attribute__((visibility("hidden"))) void turn_check_before_wait(void);

/* The calling thread is about to block, or to end: let another worker read. Also called
 * by the plugin (base/may_block.h), which knows it by this name. */
void baton_guard_may_block(void);

/* For the plugin too: see base/may_block.h. In entry_guard.c. */
int baton_guard_kept_fd(void);
void baton_guard_ends_here(size_t len);

#endif
