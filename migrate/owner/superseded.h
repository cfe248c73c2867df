/* SPDX-License-Identifier: BSD-3-Clause */
/* superseded.h - an owner that was away while somebody took its disk (baton recover
 * --take). On one host the device's lock refuses it; between hosts there is only the
 * other side's word, so an owner whose record names a peer asks it before it serves.
 */
#ifndef BATON_SUPERSEDED_H
#define BATON_SUPERSEDED_H

#include "disk.h"

/* Our record says owner. Does its peer know of a newer ownership? 1: yes; the record is
 * a standby's now, durably, and the disk is not to be served: the VMs that used it
 * through us have seen writes acknowledged that the new owner may not have. 0: no, or
 * it does not answer: go on as owner. -errno: that record cannot be written.
 * A peer is asked once for all disks, and all that are silent cost 1 s together, and a
 * tenth for each after that. */
int superseded_at_start(struct disk *d, const struct record *rec, struct err *e);

/* Forget what the peers said. */
void superseded_looks_free(struct service *s);

#endif
