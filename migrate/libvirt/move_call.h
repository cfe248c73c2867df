/* SPDX-License-Identifier: BSD-3-Clause */
/* move_call.h (move_*) - private to move*.c: the calls to the two services. */
#ifndef BATON_MOVE_CALL_H
#define BATON_MOVE_CALL_H

#include "move.h"

/* What a service says of the disk. */
struct move_side {
    char service[64]; /* its name */
    char role[16];    /* "owner" and so on */
    char owner[64];   /* as far as it knows; "" when it does not */
};
int move_ask(const struct uri *at, const char *disk, struct err *e,
             struct move_side *ret_side);

/* 0 and *ret_report, or -errno. *ret_is_refused: the service says that nothing changed.
 * Otherwise the outcome is not known, or it is committed and the service goes on. */
int move_park(const struct move_order *o, struct err *e, bool *ret_is_refused,
              json_t **ret_report);
/* Since when requests wait after a park that has just ended: now less the time that the
 * phases in its report took. */
uint64_t move_held_since(const json_t *report);
int move_unpark(const struct move_order *o, struct err *e, bool *ret_is_refused,
                json_t **ret_report);
int move_handoff(const struct move_order *o, struct err *e, bool *ret_is_refused,
                 json_t **ret_report);

#endif
