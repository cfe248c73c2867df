/* SPDX-License-Identifier: BSD-3-Clause */
/* takeover_batch.h (batch_*) - private to migrate/takeover: the disks that one call of
 * the present owner is about. */
#ifndef BATON_TAKEOVER_BATCH_H
#define BATON_TAKEOVER_BATCH_H

#include <jansson.h>

#include "disk.h"

struct batch {
    const char *from;
    const char *from_control; /* the caller's control URI; "" when it does not say */
    const char *boot_id;      /* of the caller's host; "" when it does not say */
    unsigned nr;
    struct disk *disks[GROUP_MAX_DISKS];
    const char *uuids[GROUP_MAX_DISKS]; /* borrowed from the call */
    uint64_t epochs[GROUP_MAX_DISKS];
    const char *rights[GROUP_MAX_DISKS]; /* "" when it does not say: an old program */
    const char *flushed_by[GROUP_MAX_DISKS]; /* "" when it does not say */
    bool is_unflushed[GROUP_MAX_DISKS];      /* and it says so: nobody has flushed */
    json_t *items[GROUP_MAX_DISKS];
};

/* -EBADMSG or -ENOENT and a sentence. Claims nothing. */
int batch_parse(struct service *s, json_t *params, struct err *e, struct batch *b);

/* Put in rec what stays with disk i, who has flushed it, and whom to ask at a restart
 * (superseded.h). */
void batch_history(const struct batch *b, unsigned i, struct record *rec);

/* Claim all or none, waiting until deadline_ns (0: not at all) for who has them:
 * -EBUSY.
 */
int batch_claim(struct batch *b, uint64_t deadline_ns, struct err *e);
void batch_unclaim(struct batch *b);

#endif
