/* SPDX-License-Identifier: BSD-3-Clause */
/* The model's lock, its event counter and its ranges; cands.c has the reasoning. One
 * lock for all: a sector costs about a tenth of a microsecond, far less than a request.
 */
#include "history.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "cands.h"
#include "lock.h"

TAILQ_HEAD(hist_reads, hist_read);

struct hist {
    struct hist_params params; /* fixed for life */
    struct lk lock;            /* leaf: nothing is called under it but cands.c */
    struct hist_locked {
        uint64_t events;
        uint64_t flushed; /* when the last acknowledged flush began */
        uint64_t nr_torn;
        struct hist_reads reads; /* in flight, oldest first */
        struct cands *sectors;
    } locked_; /* reach it only through hist_locked() */
};

static struct hist_locked *hist_locked(struct hist *h) LK_REQUIRES(h->lock);

static struct hist_locked *
hist_locked(struct hist *h)
{
    return &h->locked_;
}

int
hist_new(const struct hist_params *params, struct hist **ret_hist)
{
    struct hist *h = calloc(1, sizeof(*h));

    if (h == NULL) {
        return -ENOMEM;
    }
    h->locked_.sectors = calloc(params->nr_sectors, sizeof(struct cands));
    if (h->locked_.sectors == NULL) {
        free(h);
        return -ENOMEM;
    }
    h->params = *params;
    lk_init(&h->lock);
    TAILQ_INIT(&h->locked_.reads);
    *ret_hist = h;
    return 0;
}

void
hist_free(struct hist *h)
{
    if (h == NULL) {
        return;
    }
    for (uint64_t s = 0; s < h->params.nr_sectors; s++) {
        free(h->locked_.sectors[s].v);
    }
    free(h->locked_.sectors);
    lk_done(&h->lock);
    free(h);
}

const struct hist_params *
hist_params(const struct hist *h)
{
    return &h->params;
}

static struct cands *sectors_at(struct hist *h, uint64_t sector, uint32_t nr)
    LK_REQUIRES(h->lock);

static struct cands *
sectors_at(struct hist *h, uint64_t sector, uint32_t nr)
{
    assert(nr <= h->params.nr_sectors && sector <= h->params.nr_sectors - nr);
    return &hist_locked(h)->sectors[sector];
}

static struct cands_horizon horizon_locked(struct hist *h) LK_REQUIRES(h->lock);

static struct cands_horizon
horizon_locked(struct hist *h)
{
    const struct hist_read *oldest = TAILQ_FIRST(&hist_locked(h)->reads);

    return (struct cands_horizon){.reads = oldest == NULL ? hist_locked(h)->events + 1
                                                          : oldest->began,
                                  .flushed = hist_locked(h)->flushed,
                                  .is_power_cut = h->params.is_power_cut};
}

static void forget_locked(struct hist *h, uint64_t sector, uint32_t nr)
    LK_REQUIRES(h->lock);

static void
forget_locked(struct hist *h, uint64_t sector, uint32_t nr)
{
    struct cands_horizon horizon = horizon_locked(h);
    struct cands *c = sectors_at(h, sector, nr);

    for (uint32_t i = 0; i < nr; i++) {
        cands_forget(&c[i], &horizon);
    }
}

int
hist_write_begin(struct hist *h, struct hist_write *w)
{
    LK_GUARD(&h->lock);
    struct cands *c = sectors_at(h, w->sector, w->nr_sectors);
    uint64_t now = ++hist_locked(h)->events;
    struct hist_cand cand = {.seq = now,
                             .issued = now,
                             .acked = HIST_NEVER,
                             .known = HIST_NEVER,
                             .current = now,
                             .writer = w->writer,
                             .kind = w->kind,
                             .is_sure = w->kind != HIST_TRIM,
                             .is_fua = w->is_fua};

    w->seq = now;
    for (uint32_t i = 0; i < w->nr_sectors; i++) {
        int rc = cands_add(&c[i], &cand);

        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int
hist_write_again(struct hist *h, const struct hist_write *w)
{
    LK_GUARD(&h->lock);
    struct cands *c = sectors_at(h, w->sector, w->nr_sectors);
    uint64_t now = ++hist_locked(h)->events;

    for (uint32_t i = 0; i < w->nr_sectors; i++) {
        int rc = cands_add_again(&c[i], w->seq, now);

        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

void
hist_write_end(struct hist *h, const struct hist_write *w)
{
    LK_GUARD(&h->lock);
    struct cands *c = sectors_at(h, w->sector, w->nr_sectors);
    uint64_t now = ++hist_locked(h)->events;

    for (uint32_t i = 0; i < w->nr_sectors; i++) {
        cands_ack(&c[i], w->seq, now);
    }
    forget_locked(h, w->sector, w->nr_sectors);
}

void
hist_read_begin(struct hist *h, struct hist_read *r)
{
    LK_GUARD(&h->lock);
    r->began = ++hist_locked(h)->events;
    TAILQ_INSERT_TAIL(&hist_locked(h)->reads, r, link);
}

void
hist_read_lost(struct hist *h, struct hist_read *r)
{
    LK_GUARD(&h->lock);
    TAILQ_REMOVE(&hist_locked(h)->reads, r, link);
}

int
hist_read_end(struct hist *h, struct hist_read *r, const void *data, char *text,
              size_t size)
{
    LK_GUARD(&h->lock);
    struct cands *c = sectors_at(h, r->sector, r->nr_sectors);
    struct cands_read one = {.began = r->began, .ended = ++hist_locked(h)->events};
    int rc = 0;

    TAILQ_REMOVE(&hist_locked(h)->reads, r, link);
    one.expect.run = h->params.run;
    for (uint32_t i = 0; i < r->nr_sectors; i++) {
        one.expect.sector = h->params.first_sector + r->sector + i;
        one.data = (const char *)data + (size_t)i * STAMP_SECTOR;
        rc = cands_read(&c[i], &one, text, size);
        if (rc < 0) {
            return rc;
        }
        hist_locked(h)->nr_torn += (uint64_t)rc;
    }
    forget_locked(h, r->sector, r->nr_sectors);
    return 0;
}

uint64_t
hist_flush_begin(struct hist *h)
{
    LK_GUARD(&h->lock);
    return ++hist_locked(h)->events;
}

void
hist_flush_end(struct hist *h, uint64_t began)
{
    LK_GUARD(&h->lock);
    if (began > hist_locked(h)->flushed) {
        hist_locked(h)->flushed = began;
    }
}

int
hist_possible(struct hist *h, uint64_t sector, struct hist_cand **ret_cands,
              size_t *ret_nr)
{
    LK_GUARD(&h->lock);
    const struct cands *c = sectors_at(h, sector, 1);
    struct cands_horizon horizon = horizon_locked(h);
    struct hist_cand *v = calloc((size_t)c->nr + 1, sizeof(*v));
    size_t nr = 0;

    if (v == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < c->nr; i++) {
        if (cands_is_possible(c, i, hist_locked(h)->events + 1, &horizon)) {
            v[nr++] = c->v[i];
        }
    }
    *ret_cands = v;
    *ret_nr = nr;
    return 0;
}

uint64_t
hist_nr_torn(struct hist *h)
{
    LK_GUARD(&h->lock);
    return hist_locked(h)->nr_torn;
}
