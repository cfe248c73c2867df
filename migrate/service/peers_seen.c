/* SPDX-License-Identifier: BSD-3-Clause */
#include "peers_seen.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

#define SILENT_NS (5 * NS_PER_S)

static struct known_locked *known_locked(struct known *k) LK_REQUIRES(k->lock);

static struct known_locked *
known_locked(struct known *k)
{
    return &k->locked_;
}

void
known_init(struct known *k)
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
known_add(struct known *k, const char *control)
{
    struct known_locked *l;
    LK_GUARD(&k->lock);

    l = known_locked(k);
    if (control[0] == '\0' || strlen(control) >= RECORD_URI_LEN ||
        is_in(l->controls, l->nr, control)) {
        return;
    }
    if (l->nr == KNOWN_MAX) {
        memmove(l->controls[0], l->controls[1],
                (KNOWN_MAX - 1) * sizeof l->controls[0]);
        l->nr--;
    }
    (void)snprintf(l->controls[l->nr++], RECORD_URI_LEN, "%s", control);
}

void
known_note_silent(struct known *k, const char *control)
{
    struct known_locked *l;
    unsigned i;
    LK_GUARD(&k->lock);

    l = known_locked(k);
    i = l->nr_silent++ % KNOWN_MAX;
    (void)snprintf(l->silent[i].control, RECORD_URI_LEN, "%s", control);
    l->silent[i].until_ns = clock_deadline_ns(SILENT_NS);
}

bool
known_is_silent(struct known *k, const char *control)
{
    const struct known_locked *l;
    LK_GUARD(&k->lock);

    l = known_locked(k);
    for (unsigned i = 0; i < KNOWN_MAX; i++) {
        if (l->silent[i].until_ns > clock_now_ns() &&
            strcmp(l->silent[i].control, control) == 0) {
            return true;
        }
    }
    return false;
}

unsigned
known_all(struct known *k, const struct service_config *cfg,
          char (*controls)[RECORD_URI_LEN])
{
    struct known_locked *l;
    unsigned nr = 0;
    LK_GUARD(&k->lock);

    l = known_locked(k);
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
