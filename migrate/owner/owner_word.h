/* SPDX-License-Identifier: BSD-3-Clause */
/* owner_word.h - ask another service what it has, within a bound. */
#ifndef BATON_OWNER_WORD_H
#define BATON_OWNER_WORD_H

#include <jansson.h>

#include "recover.h"

/* Its whole status, a new reference. -errno and a sentence when it does not answer by
 * deadline_ns. */
int recover_look(const char *control_uri, uint64_t deadline_ns, struct err *e,
                 json_t **ret_status);

/* What that status says about the disk of rec. What the other service sends is judged,
 * never trusted to be of any form. Fills word to owner, and service if it is told. */
void recover_find_word(const json_t *status, const struct record *rec,
                       struct recover_other *o);

#endif
