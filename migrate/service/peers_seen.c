/* SPDX-License-Identifier: BSD-3-Clause */
#include "peers_seen.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

#define SILENT_NS (5 * NS_PER_S)

static struct peers_seen_locked *peers_seen_locked(struct peers_seen *k)
    LK_REQUIRES(k->lock);

static struct peers_seen_locked *
peers_seen_locked(struct peers_seen *k)
{
    return &k->locked_;
}

void
peers_seen_init(struct peers_seen *k)
{
    lk_init(&k->lock);
    memset(&k->locked_, 0, sizeof k->locked_);
}

static bool
is_in(char (*controls)[RECORD_URI_LEN], unsigned nr, const char *control)
{
    for (unsigned i = 0; i < nr; i++) {
        if (strcmp(controls[i], control) == 0) {
            return true;
        }
    }
    return false;
}

void
peers_seen_add(struct peers_seen *k, const char *control)
{
    struct peers_seen_locked *l;
    LK_GUARD(&k->lock);

    l = peers_seen_locked(k);
    if (control[0] == '\0' || strlen(control) >= RECORD_URI_LEN ||
        is_in(l->controls, l->nr, control)) {
        return;
    }
    if (l->nr == PEERS_SEEN_MAX) {
        memmove(l->controls[0], l->controls[1],
                (PEERS_SEEN_MAX - 1) * sizeof l->controls[0]);
        l->nr--;
    }
    (void)snprintf(l->controls[l->nr++], RECORD_URI_LEN, "%s", control);
}

void
peers_seen_note_silent(struct peers_seen *k, const char *control)
{
    struct peers_seen_locked *l;
    unsigned i;
    LK_GUARD(&k->lock);

    l = peers_seen_locked(k);
    i = l->nr_silent++ % PEERS_SEEN_MAX;
    (void)snprintf(l->silent[i].control, RECORD_URI_LEN, "%s", control);
    l->silent[i].until_ns = clock_deadline_ns(SILENT_NS);
}

bool
peers_seen_is_silent(struct peers_seen *k, const char *control)
{
    const struct peers_seen_locked *l;
    LK_GUARD(&k->lock);

    l = peers_seen_locked(k);
    for (unsigned i = 0; i < PEERS_SEEN_MAX; i++) {
        if (l->silent[i].until_ns > clock_now_ns() &&
            strcmp(l->silent[i].control, control) == 0) {
            return true;
        }
    }
    return false;
}

unsigned
peers_seen_all(struct peers_seen *k, const struct service_config *cfg,
               char (*controls)[RECORD_URI_LEN])
{
    struct peers_seen_locked *l;
    unsigned nr = 0;
    LK_GUARD(&k->lock);

    l = peers_seen_locked(k);
    for (unsigned i = 0; i < cfg->nr_peers; i++) {
        if (!is_in(controls, nr, cfg->peers[i].text)) {
            (void)snprintf(controls[nr++], RECORD_URI_LEN, "%s", cfg->peers[i].text);
        }
    }
    for (unsigned i = 0; i < l->nr; i++) {
        if (!is_in(controls, nr, l->controls[i])) {
            memcpy(controls[nr++], l->controls[i], RECORD_URI_LEN);
        }
    }
    return nr;
}
