/* SPDX-License-Identifier: BSD-3-Clause */
/* owner_follow.h - a client whose owner has given the disk on goes after it.
 *
 * The channel asks owner_follow_moved() when it cannot get a session. That looks at the
 * record and has a thread look for the owner (owner_find.h) meanwhile; the channel's
 * next try, after its back-off, sees what was found. The thread writes the record
 * before anything follows it: "given to Z at N+2, learned". A crash before leaves the
 * old record, which leads to the same owner again. A learned record differs from one of
 * a handoff of ours in one thing: we have nobody to tell, and nothing to take back. */
#ifndef BATON_OWNER_FOLLOW_H
#define BATON_OWNER_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "port_channel.h"

struct disk;
struct err;
struct service;
struct target;

/* As port_channel_opts.moved, for every channel of the service; opaque is the disk. */
bool owner_follow_moved(void *opaque, uint64_t epoch, const char *right,
                        struct port_channel_place *ret_place);

/* Does somebody own d at an epoch above this one, without its owner of this epoch
 * having answered? The caller has the claim. True: the record says so. */
bool owner_follow_claimed(struct disk *d, uint64_t epoch);

/* Make the record of d say that w owns it. The caller may write it. -ESTALE: it says so
 * already, or something newer. */
struct owner_answer;
int owner_follow_write_down(struct disk *d, const struct owner_answer *w,
                            struct err *e);

/* Why the owner was not found; "" when there is nothing to say. buf has SEARCH_TEXT
 * bytes. */
void owner_follow_search_text(struct disk *d, char *buf);

/* e says to whom we gave a disk of target: add who owns it now, if that is another one
 * that can be found. Asks other services. */
void owner_follow_say_owner(struct service *s, const struct target *target,
                            struct err *e);

#endif
