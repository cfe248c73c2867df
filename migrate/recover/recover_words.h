/* SPDX-License-Identifier: BSD-3-Clause */
/* recover_words.h - private to recover_judge.c: the sentences of a verdict. */
#ifndef BATON_RECOVER_WORDS_H
#define BATON_RECOVER_WORDS_H

#include "recover.h"

/* Write means to elsewhere for v->state. o: the service that decided it, or NULL. */
void recover_words(const struct recover_facts *f, const struct owner_word *o,
                   struct recover_verdict *v);

#endif
