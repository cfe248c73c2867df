/* SPDX-License-Identifier: BSD-3-Clause */
/* handoff_phase.h - what a handoff goes through, and in which order. */
#ifndef BATON_HANDOFF_PHASE_H
#define BATON_HANDOFF_PHASE_H

#include <stdbool.h>

enum handoff_phase {
    HANDOFF_PREPARE,
    HANDOFF_HOLD,
    HANDOFF_DRAIN,
    HANDOFF_FLUSH,
    HANDOFF_EJECT,
    HANDOFF_ASSIGN, /* from here on it is committed */
    HANDOFF_REPLAY,
    HANDOFF_DONE,
    HANDOFF_ABORTED,    /* before the commit: everything is as it was */
    HANDOFF_TAKEN_BACK, /* the other side refused: we own the disks again */
};
#define HANDOFF_NR_PHASES 10
const char *handoff_phase_name(enum handoff_phase p);

/* May `next` come right after p? */
bool handoff_phase_allows(enum handoff_phase p, enum handoff_phase next);

#endif
