/* SPDX-License-Identifier: BSD-3-Clause */
/* order.h - chains across disks: slot s of every disk holds a counter; the counter n
 * goes to disk 0, after its reply to disk 1, and so on. Whatever the moment, no disk
 * may be ahead of the one before it. */
#ifndef BATON_ORDER_H
#define BATON_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct order {
    uint64_t run;    /* in the stamps; 0: take it from the first block that is read */
    uint64_t offset; /* of slot 0 on every disk, bytes */
    unsigned nr_slots;
    unsigned nr_disks;
    bool is_live;     /* the disks are being written: only "not ahead" can be asked */
    uint64_t *values; /* [slot * nr_disks + disk] */
};

/* How far a chain has come: counter n has replies from the disks before this one. */
struct order_chain {
    uint64_t n;
    unsigned disk;
    bool is_sent; /* n is on its way to disk */
};

/* Read all slots of disk into buf (nr_slots sectors). 0 or -errno with a sentence. */
typedef int order_read_fn(void *opaque, unsigned disk, uint64_t offset, void *buf,
                          uint64_t size, struct err *e);

int order_init(struct order *o);
void order_done(struct order *o);

/* Read the values, the last disk first: then a live disk can only seem behind. -EILSEQ
 * when a block holds no counter of this run. */
int order_read(struct order *o, order_read_fn *read, void *opaque, struct err *e);

/* -EILSEQ with the first reversed slot in e. */
int order_check(const struct order *o, struct err *e);

/* Also against what the writer knows: nothing acknowledged is missing, nothing is there
 * that was not sent. */
int order_check_chains(const struct order *o, const struct order_chain *chains,
                       struct err *e);

/* The writer's knowledge as a file. order_load() sets run, offset, nr_slots, nr_disks
 * of *o; the caller frees *ret_chains. */
int order_save(const char *path, const struct order *o,
               const struct order_chain *chains, struct err *e);
int order_load(const char *path, struct order *o, struct order_chain **ret_chains,
               struct err *e);

#endif
