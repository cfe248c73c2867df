/* SPDX-License-Identifier: BSD-3-Clause */
/* disk_ownership.h (disk_*) - the steps that change who owns a disk. Each is small and
 * leaves the disk in one of the roles. Only the claimant calls them. */
#ifndef BATON_DISK_OWNERSHIP_H
#define BATON_DISK_OWNERSHIP_H

#include "disk.h"

/* The device changes hands here, durably: take port A out and close it (the lock goes).
 * The redirector is QUIESCED and stays so. Channel clients are sent away. */
void disk_eject(struct disk *d);

/* Put port (owned on success, the lock is taken) in as port A and open the gate. What
 * was port B is recalled and closed. The record says owner already. Cannot fail: all
 * that can was done before. */
void disk_assign(struct disk *d, struct port *port);

/* The two halves of it: channels of the epoch are served and their requests wait at the
 * gate; it opens. Returns port B or NULL, to be closed later, since that takes time. */
struct port *disk_take_over(struct disk *d, struct port *port);
void disk_open_gate(struct disk *d);

/* It was given and is parked again: a channel that is port B stays, recalled. */
void disk_park_again(struct disk *d);

/* Put the channel in as port B and open the gate: requests follow the new owner. */
void disk_follow(struct disk *d, struct port *channel);

#endif
