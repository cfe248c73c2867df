/* SPDX-License-Identifier: BSD-3-Clause */
/* give_away.h - before a service stops: hand what it owns to the service that
 * handoff-on-term names. */
#ifndef BATON_GIVE_AWAY_H
#define BATON_GIVE_AWAY_H

#include <stdint.h>

struct service;

/* Hand over every disk that s owns, the disks of a VM together, several at a time,
 * each by an ordinary handoff. Says which one is not handed over, and why: that one is
 * still ours and is served as before. If others reach the disks by us, stay for a
 * moment, so that they can ask who owns them now.
 * Ends at deadline_ns, or as soon as stop_fd can be read; a handoff that is not
 * committed then is aborted. One thread, once. */
void give_away(struct service *s, int stop_fd, uint64_t deadline_ns);

#endif
