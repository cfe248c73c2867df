/* SPDX-License-Identifier: BSD-3-Clause */
/* takeover_incoming.h - private to migrate/takeover: a disk that may come to this
 * service, from PREPARE to the moment when it is owned. The caller has the claim on the
 * disk. */
#ifndef BATON_TAKEOVER_INCOMING_H
#define BATON_TAKEOVER_INCOMING_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "record.h"

struct batch;
struct disk;
struct service;

/* Has rec promised not to own that disk at that epoch or before? */
bool takeover_incoming_is_refused(const struct record *rec, const char *uuid,
                                  uint64_t epoch);

/* May the disk come to us, at this epoch? Else an errno and the sentence why not. */
int takeover_incoming_check(struct disk *d, const char *uuid, uint64_t epoch,
                            struct err *e);

/* Forget what was prepared. */
void takeover_incoming_drop(struct disk *d);

/* What ASSIGN commits for disk i of b. The disk has a redirector. */
struct record takeover_incoming_record(struct disk *d, const struct batch *b,
                                       unsigned i);

/* Write these records now, so that assigning is a rename. */
int takeover_incoming_draft(struct service *s, const struct batch *b, struct err *e);

/* What takeover_incoming_draft() wrote, if it says the same as recs; else NULL. */
struct record_draft *takeover_incoming_take_draft(struct service *s,
                                                  const struct batch *b,
                                                  const struct record *recs);

/* Should we forget in a crash that we owned them: does the giver see what we have
 * acknowledged? Not when it is in a page cache that only we have. */
bool takeover_incoming_may_be_forgotten(const struct batch *b);

/* The device that PREPARE opened, or one opened now, since we may have been restarted;
 * its lock is taken. */
int takeover_incoming_take_device(struct disk *d, const struct batch *b, unsigned i,
                                  struct err *e, struct port **ret_port);

#endif
