/* SPDX-License-Identifier: BSD-3-Clause */
/* journal.h - what every sector may hold at the end of a run, as a text file, and the
 * comparison of a device with it:
 *
 *   stampcheck-journal 1 <run> <first sector> <number of sectors>
 *   <sector> <torn|whole> <candidate>...       candidate: z or <writer>:<seq>
 *
 * A sector without a candidate may hold anything. "torn": a write to it was never
 * acknowledged, so a mix of the candidates is no fault. */
#ifndef BATON_JOURNAL_H
#define BATON_JOURNAL_H

#include <stdint.h>

#include "err.h"
#include "history.h"

/* Write path anew, complete and synced, or -errno. */
int journal_write(const char *path, struct hist *h, struct err *e);

/* Read the device (a file) and compare. 0, -EILSEQ with the first wrong sector in e, or
 * another -errno when it could not be compared. *ret_checked counts sectors. */
int journal_verify(const char *path, const char *device, uint64_t *ret_checked,
                   struct err *e);

#endif
