/* SPDX-License-Identifier: BSD-3-Clause */
/* history.h - what every sector of a disk may hold, given all requests so far.
 *
 * Each sector is an atomic register. The history is linearizable as long as no read
 * returns a write that the model calls superseded; history.c says how that is decided.
 * Order is counted in events under one lock, never taken from a clock: call *_begin
 * before the request is sent and *_end after its reply was received.
 *
 * All functions are safe on any thread and do not block but for the lock. Sectors are
 * counted from the start of the working area. A sector that was never written may hold
 * anything, so fill the area first. */
#ifndef BATON_HISTORY_H
#define BATON_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct hist;

enum hist_kind {
    HIST_WRITE, /* stamped sectors */
    HIST_ZERO,  /* zeroes */
    HIST_TRIM,  /* no effect, or zeroes: decided by the first read that tells */
};

struct hist_params {
    uint64_t run;          /* goes into the stamps */
    uint64_t first_sector; /* of the working area on the disk; goes into the stamps */
    uint64_t nr_sectors;
    bool is_power_cut; /* keep also what could come back when unflushed data is lost */
};

struct hist_write {
    enum hist_kind kind;
    bool is_fua;
    uint64_t sector;
    uint32_t nr_sectors;
    uint32_t writer;
    uint64_t seq; /* out: set by hist_write_begin() */
};

struct hist_read {
    uint64_t sector;
    uint32_t nr_sectors;
    uint64_t began; /* the rest is the model's */
    TAILQ_ENTRY(hist_read) link;
};

struct hist_cand {
    uint64_t seq;
    uint64_t issued;
    uint64_t acked;   /* or HIST_NEVER */
    uint64_t known;   /* by then it was in effect, if ever it was; or HIST_NEVER */
    uint64_t current; /* at some time not before this it was what the sector held */
    uint32_t writer;
    enum hist_kind kind;
    bool is_sure;   /* it takes effect; false for a trim that no read has shown */
    bool is_merged; /* stands for several trims: a read cannot tell which */
    bool is_fua;
};

#define HIST_NEVER UINT64_MAX

int hist_new(const struct hist_params *params, struct hist **ret_hist);
void hist_free(struct hist *h);

/* A write is about to be sent. -ENOMEM leaves the model unusable for checking. */
int hist_write_begin(struct hist *h, struct hist_write *w);

/* Its connection broke without a reply and w is about to be sent again: it may take
 * effect twice, but not after the reply to the second. */
int hist_write_again(struct hist *h, const struct hist_write *w);

/* It was acknowledged. */
void hist_write_end(struct hist *h, const struct hist_write *w);

void hist_read_begin(struct hist *h, struct hist_read *r);

/* The read returned data. 0, or -EILSEQ with a sentence in text: no order of the
 * requests explains what was read. */
int hist_read_end(struct hist *h, struct hist_read *r, const void *data, char *text,
                  size_t size);

/* The read's connection broke. */
void hist_read_lost(struct hist *h, struct hist_read *r);

/* A flush is about to be sent; give the value back when it was acknowledged. */
uint64_t hist_flush_begin(struct hist *h);
void hist_flush_end(struct hist *h, uint64_t began);

/* The writes that the sector may hold now (after a power cut, if is_power_cut). The
 * caller frees *ret_cands. No candidate means: anything. */
int hist_possible(struct hist *h, uint64_t sector, struct hist_cand **ret_cands,
                  size_t *ret_nr);

/* Torn sectors seen where a write at the same time allowed them. */
uint64_t hist_nr_torn(struct hist *h);

const struct hist_params *hist_params(const struct hist *h);

#endif
