/* SPDX-License-Identifier: BSD-3-Clause */
/* peers_seen.h - the services that have become clients of our disks (attach.h), by
 * their control URIs, so that they can be asked later. Not durable: after a restart the
 * configured peers remain. Any thread. */
#ifndef BATON_PEERS_SEEN_H
#define BATON_PEERS_SEEN_H

#include "config.h"
#include "lock.h"

#define KNOWN_MAX 16 /* then the one that was seen first is forgotten */

struct known {
    struct lk lock; /* leaf */
    struct known_locked {
        unsigned nr;
        char controls[KNOWN_MAX][RECORD_URI_LEN]; /* oldest first */
        unsigned nr_silent; /* the next one is noted in place nr_silent % KNOWN_MAX */
        struct {
            char control[RECORD_URI_LEN];
            uint64_t until_ns;
        } silent[KNOWN_MAX];
    } locked_;
};

void known_init(struct known *k);
void known_add(struct known *k, const char *control);

/* The service at control has let us wait in vain: whoever asks in turn for many VMs
 * spares itself that for a moment. */
void known_note_silent(struct known *k, const char *control);
bool known_is_silent(struct known *k, const char *control);

/* The configured peers, then those that are known, each once. Returns how many. */
#define KNOWN_ALL_MAX (CONFIG_MAX_LISTEN + KNOWN_MAX)
unsigned known_all(struct known *k, const struct service_config *cfg,
                   char (*controls)[RECORD_URI_LEN]);

#endif
