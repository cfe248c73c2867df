/* SPDX-License-Identifier: BSD-3-Clause */
#include "handoff_phase.h"

#include <assert.h>

const char *
handoff_phase_name(enum handoff_phase p)
{
    static const char *const names[HANDOFF_NR_PHASES] = {
        "prepare", "hold",   "drain", "flush",   "eject",
        "assign",  "replay", "done",  "aborted", "taken-back"};

    assert((unsigned)p < HANDOFF_NR_PHASES);
    return names[p];
}

bool
handoff_phase_allows(enum handoff_phase p, enum handoff_phase next)
{
#define TO(p) [HANDOFF_##p] = true
    static const bool allowed[HANDOFF_NR_PHASES][HANDOFF_NR_PHASES] = {
        [HANDOFF_PREPARE] = {TO(HOLD), TO(ABORTED), TO(ASSIGN) /* resumed */,
                             TO(EJECT) /* of what is parked */},
        [HANDOFF_HOLD] = {TO(DRAIN), TO(ABORTED)},
        [HANDOFF_DRAIN] = {TO(FLUSH), TO(ABORTED)},
        [HANDOFF_FLUSH] = {TO(EJECT), TO(ABORTED)},
        [HANDOFF_EJECT] = {TO(ASSIGN), TO(ABORTED), TO(DONE) /* parked */},
        [HANDOFF_ASSIGN] = {TO(REPLAY), TO(TAKEN_BACK)},
        [HANDOFF_REPLAY] = {TO(DONE), TO(TAKEN_BACK) /* forgotten in a crash */},
    };
#undef TO

    return allowed[p][next];
}
