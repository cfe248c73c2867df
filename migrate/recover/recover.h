/* SPDX-License-Identifier: BSD-3-Clause */
/* recover.h - what is known of a disk whose owner may be gone for good, what each
 * choice risks, and the choice itself: baton recover DISK [--take].
 *
 * recover_judge() is a pure function from facts to a named state; docs/recovery.md has
 * one section for each name. recover_facts.c gathers the facts, recover_take.c makes
 * this service the owner when the state allows it.
 */
#ifndef BATON_RECOVER_H
#define BATON_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "owner_word.h"
#include "record.h"
#include "service.h"
#include "target.h"
#include "words.h"

enum recover_device { DEVICE_FITS, DEVICE_MISSING, DEVICE_DIFFERS };

enum recover_lock {
    LOCK_FREE,
    LOCK_OURS,    /* this service has it */
    LOCK_HELD,    /* somebody else has it */
    LOCK_NONE,    /* an NBD server keeps no locks */
    LOCK_UNKNOWN, /* the device could not be opened, or asked */
};

struct recover_facts {
    const char *service;    /* our name */
    struct record rec;      /* ours */
    uint64_t since;         /* when it was written, seconds since 1970; 0: not known */
    uint64_t refused_epoch; /* up to it we promised not to own the disk */
    const char *path;       /* of the device */
    enum recover_device device;
    enum recover_lock lock;
    char device_why[512]; /* why it is missing or differs */
    char lock_why[512];   /* who has the lock */
    bool is_asking;       /* we are asking the next owner to own it, again and again */
    const char
        *mate; /* a disk that was given at once with it and is not meant, or NULL */
    unsigned nr_others; /* others[0] is the record's peer, perhaps WORD_NOBODY */
    struct owner_word others[RECOVER_MAX_OTHERS];
};

enum recover_state {
    RECOVER_OWNER,            /* this service owns it: nothing to recover */
    RECOVER_CONTESTED,        /* this service and another one both say they own it */
    RECOVER_SERVED_ELSEWHERE, /* another service owns it and answers */
    RECOVER_CONVERGING,       /* the peer answers and will own it by itself */
    RECOVER_MOVED_ON,         /* somebody answers who knows of a newer owner */
    RECOVER_PARKED,           /* parked, here or there: baton unpark */
    RECOVER_UNKNOWN_HERE,     /* nothing here shows which disk it is */
    RECOVER_DEVICE_MISSING,
    RECOVER_DEVICE_DIFFERS,
    RECOVER_IN_USE,     /* the peer is silent, and somebody has the device's lock */
    RECOVER_LOST_THERE, /* the peer answers and knows nothing of the disk any more */
    RECOVER_NEXT_OWNER_SILENT, /* given, never known to be taken, and no answer */
    RECOVER_OWNER_SILENT,      /* the owner does not answer */
};
#define RECOVER_NR_STATES 13
const char *recover_state_name(enum recover_state s);

struct recover_verdict {
    enum recover_state state;
    bool may_take;
    uint64_t next_epoch; /* at which a take makes us the owner */
    char means[RECOVER_SENTENCE];
    char by_itself[RECOVER_SENTENCE]; /* what Baton does when the peer comes back */
    char wait[RECOVER_SENTENCE];      /* what each choice risks */
    char take[RECOVER_SENTENCE];
    char elsewhere[RECOVER_SENTENCE]; /* to recover at the other side */
};

/* Pure: no I/O, no clock. */
void recover_judge(const struct recover_facts *f, struct recover_verdict *ret_v);

struct disk;

/* Look at the device, ask the record's peer and the nr_ask services at ask; bounded.
 * Changes nothing, takes no lock. */
void recover_gather(struct disk *d, const char *const *ask, unsigned nr_ask,
                    struct recover_facts *ret_f);

/* Make this service the owner of the nr disks, with one commit. facts and verdicts
 * allow it. 0; -EALREADY: the next owner answered meanwhile; other -errno: nothing
 * changed. */
int recover_take(struct service *s, struct disk *const *disks, unsigned nr,
                 const struct recover_verdict *verdicts, struct err *e);

struct recover_question {
    struct target target;
    const char *ask[RECOVER_MAX_OTHERS];
    unsigned nr_ask;
    bool is_take;
};

/* The method: {target, take?, ask?[URI]}. */
int recover_run(struct service *s, const struct recover_question *rq, struct err *e,
                json_t **ret_result);

#endif
