/* SPDX-License-Identifier: BSD-3-Clause */
/* cands.h - the writes that one sector may hold: the reasoning behind history.h,
 * without its lock. history.c is the only caller; it serialises the calls. */
#ifndef BATON_CANDS_H
#define BATON_CANDS_H

#include "history.h"
#include "stamp.h"

struct cands {
    struct hist_cand *v;
    uint32_t nr;
    uint32_t cap;
};

/* What no present or later read needs any more. */
struct cands_horizon {
    uint64_t reads;   /* when the oldest read in flight began, or now */
    uint64_t flushed; /* when the last acknowledged flush began */
    bool is_power_cut;
};

/* One sector of a read. */
struct cands_read {
    uint64_t began;
    uint64_t ended;
    struct stamp_id expect; /* run and sector are used */
    const void *data;
};

int cands_add(struct cands *c, const struct hist_cand *cand);

/* A second copy of seq, issued now; the first may never take effect. */
int cands_add_again(struct cands *c, uint64_t seq, uint64_t now);

void cands_ack(struct cands *c, uint64_t seq, uint64_t now);
void cands_forget(struct cands *c, const struct cands_horizon *horizon);

/* Judge a read and learn from it. 0, 1 when it is torn and may be, or -EILSEQ with a
 * sentence in text. */
int cands_read(struct cands *c, const struct cands_read *r, char *text, size_t size);

/* May v[i] be there still for a read that begins now (after a power cut, if so)? */
bool cands_is_possible(const struct cands *c, uint32_t i, uint64_t now,
                       const struct cands_horizon *horizon);

#endif
