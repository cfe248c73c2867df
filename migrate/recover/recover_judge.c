/* SPDX-License-Identifier: BSD-3-Clause */
/* From facts to a named state. The order of the questions matters: what a reachable
 * service says comes before what the device shows, and both before a silence. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "recover.h"
#include "recover_words.h"

const char *
recover_state_name(enum recover_state s)
{
    static const char *const names[RECOVER_NR_STATES] = {
        [RECOVER_OWNER] = "owner",
        [RECOVER_CONTESTED] = "contested",
        [RECOVER_SERVED_ELSEWHERE] = "served-elsewhere",
        [RECOVER_CONVERGING] = "converging",
        [RECOVER_MOVED_ON] = "moved-on",
        [RECOVER_PARKED] = "parked",
        [RECOVER_UNKNOWN_HERE] = "unknown-here",
        [RECOVER_DEVICE_MISSING] = "device-missing",
        [RECOVER_DEVICE_DIFFERS] = "device-differs",
        [RECOVER_IN_USE] = "in-use",
        [RECOVER_LOST_THERE] = "lost-there",
        [RECOVER_NEXT_OWNER_SILENT] = "next-owner-silent",
        [RECOVER_OWNER_SILENT] = "owner-silent",
    };

    return names[s];
}

static const struct owner_word *
find_role(const struct recover_facts *f, enum role role, uint64_t min_epoch)
{
    for (unsigned i = 0; i < f->nr_others; i++) {
        if (owner_word_is_role(&f->others[i], role) &&
            f->others[i].epoch >= min_epoch) {
            return &f->others[i];
        }
    }
    return NULL;
}

/* Is somebody who answers just giving it to us? */
static const struct owner_word *
find_giver(const struct recover_facts *f)
{
    for (unsigned i = 0; i < f->nr_others; i++) {
        const struct owner_word *o = &f->others[i];

        if (owner_word_is_role(o, ROLE_GIVEN) && o->epoch > f->rec.epoch &&
            strcmp(o->owner, f->service) == 0) {
            return o;
        }
    }
    return NULL;
}

/* Nobody who answers contradicts us: what does the device say? */
static enum recover_state
judge_device(const struct recover_facts *f, enum recover_state otherwise)
{
    if (f->device == DEVICE_MISSING) {
        return RECOVER_DEVICE_MISSING;
    }
    if (f->device == DEVICE_DIFFERS) {
        return RECOVER_DEVICE_DIFFERS;
    }
    return f->lock == LOCK_HELD || f->lock == LOCK_UNKNOWN ? RECOVER_IN_USE : otherwise;
}

/* We do not own it, and no service that answers does. */
static enum recover_state
judge_silence(const struct recover_facts *f, const struct owner_word **ret_o)
{
    const struct owner_word *peer = &f->others[0];

    *ret_o = peer;
    switch (peer->kind) {
    case WORD_NO_DISK: /* it will say so to the question whether it owns it, too */
        return judge_device(f, RECOVER_LOST_THERE);
    case WORD_OTHER_DISK: /* it refuses, and we take it back */
    case WORD_ROLE:
        return f->is_asking ? RECOVER_CONVERGING : judge_device(f, RECOVER_LOST_THERE);
    case WORD_NOBODY:
    case WORD_SILENT:
        break;
    }
    return judge_device(f, f->is_asking ? RECOVER_NEXT_OWNER_SILENT
                                        : RECOVER_OWNER_SILENT);
}

static enum recover_state
judge_state(const struct recover_facts *f, const struct owner_word **ret_o)
{
    const struct record *rec = &f->rec;
    bool has_identity = rec->uuid[0] != '\0' && rec->info.size > 0;

    *ret_o = find_role(f, ROLE_OWNER, 0);
    if (rec->role == ROLE_OWNER) {
        return *ret_o != NULL ? RECOVER_CONTESTED : RECOVER_OWNER;
    }
    if (*ret_o != NULL) {
        return RECOVER_SERVED_ELSEWHERE;
    }
    *ret_o = find_giver(f);
    if (*ret_o != NULL) {
        return RECOVER_CONVERGING;
    }
    *ret_o = find_role(f, ROLE_PARKED, rec->epoch);
    if (*ret_o != NULL) {
        return RECOVER_PARKED;
    }
    *ret_o = owner_word_find_newer(rec, f->service, f->others, f->nr_others);
    if (*ret_o != NULL) {
        return RECOVER_MOVED_ON;
    }
    *ret_o = &f->others[0];
    if (rec->role == ROLE_PARKED) {
        return RECOVER_PARKED;
    }
    return has_identity ? judge_silence(f, ret_o) : RECOVER_UNKNOWN_HERE;
}

/* Above every epoch that is known, and one more: the owner that cannot be asked may
 * have committed to giving the disk on, which takes one epoch. If it went further, a
 * further service owned the disk, and no number chosen here is known to be safe: that
 * is what the sentences say. */
static uint64_t
next_epoch(const struct recover_facts *f)
{
    uint64_t max = f->rec.epoch;

    if (f->refused_epoch > max) {
        max = f->refused_epoch;
    }
    for (unsigned i = 0; i < f->nr_others; i++) {
        if (f->others[i].kind == WORD_ROLE && f->others[i].epoch > max) {
            max = f->others[i].epoch;
        }
    }
    return max > INT64_MAX - 4 ? 0 : max + 2; /* 0: there is none left */
}

static bool
state_allows_take(enum recover_state s)
{
    switch (s) {
    case RECOVER_LOST_THERE:
    case RECOVER_NEXT_OWNER_SILENT:
    case RECOVER_OWNER_SILENT:
        return true;
    case RECOVER_OWNER:
    case RECOVER_CONTESTED:
    case RECOVER_SERVED_ELSEWHERE:
    case RECOVER_CONVERGING:
    case RECOVER_MOVED_ON:
    case RECOVER_PARKED:
    case RECOVER_UNKNOWN_HERE:
    case RECOVER_DEVICE_MISSING:
    case RECOVER_DEVICE_DIFFERS:
    case RECOVER_IN_USE:
        return false;
    }
    return false;
}

void
recover_judge(const struct recover_facts *f, struct recover_verdict *ret_v)
{
    const struct owner_word *o = NULL;

    assert(f->nr_others >= 1 && f->nr_others <= RECOVER_MAX_OTHERS);
    *ret_v = (struct recover_verdict){.next_epoch = next_epoch(f)};
    ret_v->state = judge_state(f, &o);
    ret_v->may_take =
        state_allows_take(ret_v->state) && f->mate == NULL && ret_v->next_epoch != 0;
    recover_words(f, o, ret_v);
}
