/* SPDX-License-Identifier: BSD-3-Clause */
/* stamp.h - what one 512-byte sector of a checked write holds: a header that says who
 * wrote it, where it belongs and which write it was, and a payload that follows from
 * the header, so that every byte of the sector can be checked. No state, any thread. */
#ifndef BATON_STAMP_H
#define BATON_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAMP_SECTOR 512u

struct stamp_id {
    uint64_t run;    /* which run of the checker; tells old contents from ours */
    uint64_t sector; /* where the sector belongs, counted from offset 0 of the disk */
    uint64_t seq;    /* which write; unique in a run */
    uint32_t writer; /* which connection wrote it */
};

enum stamp_kind {
    STAMP_OK,        /* whole, of this run, in its place */
    STAMP_ZERO,      /* all bytes are zero */
    STAMP_FOREIGN,   /* whole, but of another run */
    STAMP_MISPLACED, /* whole, but it belongs to another sector */
    STAMP_BROKEN,    /* none of these: torn or garbage */
};

/* Fill STAMP_SECTOR bytes. */
void stamp_fill(void *sector, const struct stamp_id *id);

/* Say what the STAMP_SECTOR bytes are when read from expect->sector in expect->run.
 * *ret_id is what the header says; it is meaningless for STAMP_ZERO. */
enum stamp_kind stamp_read(const void *sector, const struct stamp_id *expect,
                           struct stamp_id *ret_id);

/* The found sector as a phrase for people. */
void stamp_text(char *text, size_t size, enum stamp_kind kind, const void *sector,
                const struct stamp_id *id);

#endif
