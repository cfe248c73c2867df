/* SPDX-License-Identifier: BSD-3-Clause */
/* attach_look.h - private to attach*.c: what the owner's device is like. */
#ifndef BATON_ATTACH_LOOK_H
#define BATON_ATTACH_LOOK_H

#include "identity.h"

struct service;
struct owner_answer;

struct owner_look {
    struct identity id; /* its info is what the disk's clients were promised */
    uint64_t forced_epoch, taken_at; /* as in its record */
};

/* Ask the owner; it knows us from then on. While it is busy, again until deadline_ns.
 */
int attach_look(struct service *s, const struct owner_answer *w, uint64_t deadline_ns,
                struct err *e, struct owner_look *ret_look);

#endif
