/* SPDX-License-Identifier: BSD-3-Clause */
/* step.h - private to migrate/handoff: the steps of a handoff, in order. Only
 * the job's thread calls them. What holds after one has failed is said in job.h. */
#ifndef BATON_STEP_H
#define BATON_STEP_H

#include "job.h"

/* step_prepare.c */
int step_prepare(struct job *j, struct err *e);

/* step_commit.c */
int step_hold(struct job *j, struct err *e);
int step_drain(struct job *j, struct err *e);
int step_flush(struct job *j, struct err *e);
int step_eject(struct job *j, struct err *e);
/* Undo hold..flush: open the gates to port A, tell the next owner to forget it. */
void step_roll_back(struct job *j);

/* step_assign.c */
/* 0; -EREMOTEIO: refused, e has the reason; -ECANCELED: no answer, and a person wants
 * it abandoned. Goes on until one of them. */
int step_assign(struct job *j, struct err *e);
void step_replay(struct job *j);
/* Put the channels in as port B: what was held waits there for an answer. */
void step_follow(struct job *j);
/* The next owner refused: own the disks again, at epoch N+2. Goes on until done. */
void step_take_back(struct job *j);

#endif
