/* SPDX-License-Identifier: BSD-3-Clause */
/* peers_seen.h - the services that have become clients of our disks (attach.h), by
 * their control URIs, so that they can be asked later. Not durable: after a restart the
 * configured peers remain. Any thread. */
#ifndef BATON_PEERS_SEEN_H
#define BATON_PEERS_SEEN_H

#include "config.h"
#include "lock.h"

#define PEERS_SEEN_MAX 16 /* then the one that was seen first is forgotten */

struct peers_seen {
    struct lk lock; /* leaf */
    struct peers_seen_locked {
        unsigned nr;
        char controls[PEERS_SEEN_MAX][RECORD_URI_LEN]; /* oldest first */
        unsigned
            nr_silent; /* the next one is noted in place nr_silent % PEERS_SEEN_MAX */
        struct {
            char control[RECORD_URI_LEN];
            uint64_t until_ns;
        } silent[PEERS_SEEN_MAX];
    } locked_;
};

void peers_seen_init(struct peers_seen *k);
void peers_seen_add(struct peers_seen *k, const char *control);

/* The service at control has let us wait in vain: for a moment it
 * is not asked again, since many VMs may be asked about in turn. */
void peers_seen_note_silent(struct peers_seen *k, const char *control);
bool peers_seen_is_silent(struct peers_seen *k, const char *control);

/* The configured peers, then those that are known, each once. Returns how many. */
#define PEERS_SEEN_ALL_MAX (CONFIG_MAX_LISTEN + PEERS_SEEN_MAX)
unsigned peers_seen_all(struct peers_seen *k, const struct service_config *cfg,
                        char (*controls)[RECORD_URI_LEN]);

#endif
