/* SPDX-License-Identifier: BSD-3-Clause */
/* owner_word.h - what another service says about a disk when it is asked, and whether
 * that shows our own record to be out of date. */
#ifndef BATON_OWNER_WORD_H
#define BATON_OWNER_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "err.h"
#include "record.h"

enum owner_word_kind {
    WORD_NOBODY,     /* there is nobody to ask: the record names no peer */
    WORD_SILENT,     /* no answer */
    WORD_NO_DISK,    /* it answers, and has no such disk */
    WORD_OTHER_DISK, /* it has a disk of that name with another uuid */
    WORD_ROLE,       /* it has a record of the disk */
};

struct owner_word {
    char uri[RECORD_URI_LEN]; /* "" for WORD_NOBODY */
    /* What it calls itself, or what the record calls it. */
    char service[NAME_MAX_LEN + 1];
    enum owner_word_kind kind;
    char why[256];  /* WORD_SILENT: the reason */
    enum role role; /* WORD_ROLE */
    uint64_t epoch;
    uint64_t forced_epoch;
    bool is_superseded;
    char owner[NAME_MAX_LEN + 1]; /* whom it calls the owner */
};

/* Ask a service for its whole status, a new reference. -errno and a sentence when it
 * does not answer by deadline_ns. */
int owner_word_ask(const char *control_uri, uint64_t deadline_ns, struct err *e,
                   json_t **ret_status);

/* What that status says about the disk of rec. What the other service sends is judged,
 * never trusted to be of any form. Fills kind to owner, and service if it is told. */
void owner_word_read(const json_t *status, const struct record *rec,
                     struct owner_word *o);

/* Does it say that it has this role? */
bool owner_word_is_role(const struct owner_word *o, enum role role);

/* Who shows this record to be out of date: its ownership has ended. NULL: nobody. */
const struct owner_word *owner_word_find_newer(const struct record *rec,
                                               const char *service,
                                               const struct owner_word *others,
                                               unsigned nr);

#endif
