/* SPDX-License-Identifier: BSD-3-Clause */
/* Which write may a sector hold? Every write a has two bounds, tightened by what is
 * seen: known(a)   by then a was in effect: its reply, or the end of a read that
 * returned it; current(a) at some time not before this a was what the sector held: when
 * it was issued, or when a read that returned it began. Values being unique, a history
 * of one register is linearizable if and only if no two writes a and b have known(a) <
 * current(b) and known(b) < current(a): b must then come after a and a after b (Gibbons
 * and Korach: no two forward zones overlap, and no backward zone lies in a forward
 * one). So a read of a, after it has moved a's bounds, is refused exactly when some b
 * says so. That covers lost and stale writes, ghost writes (an old write landing after
 * a newer one) and values that come back.
 *
 * A write that was sent twice stands here twice: either copy may be the one in effect,
 * and both are known to be when the reply to the second has come. A trim may do
 * nothing: it is not "sure" and cannot supersede another until a read shows that it is
 * there. Contents that several writes explain (zeroes) teach nothing. Both are on the
 * safe side: no false alarm, at the price of a rare miss.
 *
 * A write that no read in flight or to come may return is forgotten; its place in the
 * order is folded into the write that supersedes it. */
#include "cands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
cands_add(struct cands *c, const struct hist_cand *cand)
{
    if (c->nr == c->cap) {
        uint32_t cap = c->cap == 0 ? 4 : c->cap * 2;
        struct hist_cand *v = realloc(c->v, cap * sizeof(*v));

        if (v == NULL) {
            return -ENOMEM;
        }
        c->v = v;
        c->cap = cap;
    }
    c->v[c->nr++] = *cand;
    return 0;
}

int
cands_add_again(struct cands *c, uint64_t seq, uint64_t now)
{
    struct hist_cand again;
    bool is_found = false;

    for (uint32_t i = 0; i < c->nr; i++) {
        if (c->v[i].seq == seq) {
            again = c->v[i];
            is_found = true;
        }
    }
    if (!is_found) {
        return -ENOENT;
    }
    again.issued = now;
    again.current = now;
    again.known = HIST_NEVER;
    again.is_sure = again.kind != HIST_TRIM;
    return cands_add(c, &again);
}

void
cands_ack(struct cands *c, uint64_t seq, uint64_t now)
{
    for (uint32_t i = 0; i < c->nr; i++) {
        struct hist_cand *cand = &c->v[i];

        if (cand->seq == seq) {
            cand->acked = now;
            cand->known = cand->known < now ? cand->known : now;
        }
    }
}

static bool
is_durable(const struct hist_cand *cand, const struct cands_horizon *horizon)
{
    return cand->acked != HIST_NEVER &&
           (cand->is_fua || cand->acked < horizon->flushed);
}

/* The write that makes v[i] impossible, given v[i]'s bounds; NULL when there is none.
 */
static const struct hist_cand *
superseder(const struct cands *c, uint32_t i, uint64_t known, uint64_t current)
{
    for (uint32_t j = 0; j < c->nr; j++) {
        const struct hist_cand *b = &c->v[j];

        if (j != i && b->is_sure && known < b->current && b->known < current) {
            return b;
        }
    }
    return NULL;
}

static const struct hist_cand *
durable_superseder(const struct cands *c, uint32_t i,
                   const struct cands_horizon *horizon)
{
    for (uint32_t j = 0; j < c->nr; j++) {
        const struct hist_cand *b = &c->v[j];

        if (j != i && b->is_sure && c->v[i].known < b->current &&
            is_durable(b, horizon)) {
            return b;
        }
    }
    return NULL;
}

/* Trims that a newer trim of the same sector follows: one stands for both. */
static struct hist_cand *
later_trim(struct cands *c, const struct hist_cand *a, uint64_t horizon)
{
    for (uint32_t j = 0; j < c->nr; j++) {
        struct hist_cand *b = &c->v[j];

        if (b != a && b->kind == HIST_TRIM && !b->is_sure && a->known < b->current &&
            b->acked < horizon) {
            return b;
        }
    }
    return NULL;
}

/* True when v[i] can go; its order is then folded into its successor. */
static bool
fold(struct cands *c, uint32_t i, const struct cands_horizon *horizon)
{
    struct hist_cand *a = &c->v[i], *b;

    if (a->acked == HIST_NEVER) {
        return false;
    }
    if (horizon->is_power_cut && durable_superseder(c, i, horizon) == NULL) {
        return false;
    }
    b = (struct hist_cand *)superseder(c, i, a->known, horizon->reads);
    if (b != NULL) {
        b->current = b->current > a->current ? b->current : a->current;
        return true;
    }
    if (a->kind != HIST_TRIM || a->is_sure) {
        return false;
    }
    b = later_trim(c, a, horizon->reads);
    if (b != NULL) {
        b->is_merged = true;
    }
    return b != NULL;
}

void
cands_forget(struct cands *c, const struct cands_horizon *horizon)
{
    for (uint32_t i = 0; i < c->nr;) {
        if (fold(c, i, horizon)) {
            c->v[i] = c->v[--c->nr];
        } else {
            i++;
        }
    }
}

bool
cands_is_possible(const struct cands *c, uint32_t i, uint64_t now,
                  const struct cands_horizon *horizon)
{
    const struct hist_cand *a = &c->v[i];

    if (horizon->is_power_cut) {
        return durable_superseder(c, i, horizon) == NULL;
    }
    return superseder(c, i, a->known < now ? a->known : now, now) == NULL;
}

static uint64_t
known_after(const struct hist_cand *a, const struct cands_read *r)
{
    return a->known < r->ended ? a->known : r->ended;
}

static uint64_t
current_after(const struct hist_cand *a, const struct cands_read *r)
{
    return a->current > r->began ? a->current : r->began;
}

static const struct hist_cand *
read_superseder(const struct cands *c, uint32_t i, const struct cands_read *r)
{
    return superseder(c, i, known_after(&c->v[i], r), current_after(&c->v[i], r));
}

static void
content_of(const struct hist_cand *cand, const struct cands_read *r,
           unsigned char *sector)
{
    struct stamp_id id = r->expect;

    if (cand->kind != HIST_WRITE) {
        memset(sector, 0, STAMP_SECTOR);
        return;
    }
    id.seq = cand->seq;
    id.writer = cand->writer;
    stamp_fill(sector, &id);
}

/* A read that races with a write may see some bytes of each: the kernel copies them
 * without a lock. Every byte must still come from a write that the read may return. */
static bool
is_torn_by_race(const struct cands *c, const struct cands_read *r)
{
    unsigned char sector[STAMP_SECTOR], explained[STAMP_SECTOR] = {0};
    const unsigned char *data = r->data;
    bool is_race = false;

    for (uint32_t i = 0; i < c->nr; i++) {
        if (read_superseder(c, i, r) != NULL) {
            continue;
        }
        is_race = is_race || c->v[i].acked > r->began;
        content_of(&c->v[i], r, sector);
        for (size_t k = 0; k < STAMP_SECTOR; k++) {
            explained[k] |= (unsigned char)(sector[k] == data[k]);
        }
    }
    return is_race && memchr(explained, 0, STAMP_SECTOR) == NULL;
}

static size_t
add_text(char *text, size_t size, size_t at, const struct hist_cand *cand)
{
    static const char *const names[] = {"write", "zero", "trim"};
    char acked[32] = "never";
    int n;

    if (cand->acked != HIST_NEVER) {
        (void)snprintf(acked, sizeof(acked), "%" PRIu64, cand->acked);
    }
    n = snprintf(text + at, size - at,
                 " [%s %" PRIu64 " by %u issued %" PRIu64 " acked %s]",
                 names[cand->kind], cand->seq, cand->writer, cand->issued, acked);
    return n < 0 || (size_t)n >= size - at ? size - 1 : at + (size_t)n;
}

/* "sector N: read B..E found X; it may hold: [..] [..]; superseded: X by Y" */
static int
refuse(const struct cands *c, const struct cands_read *r, const char *found, char *text,
       size_t size)
{
    const struct hist_cand *by;
    size_t at;
    int n = snprintf(text, size,
                     "sector %" PRIu64 ": read of events %" PRIu64 "..%" PRIu64
                     " found %s; it may hold",
                     r->expect.sector, r->began, r->ended, found);

    at = n < 0 || (size_t)n >= size ? size - 1 : (size_t)n;
    for (uint32_t i = 0; i < c->nr; i++) {
        if (read_superseder(c, i, r) == NULL) {
            at = add_text(text, size, at, &c->v[i]);
        }
    }
    for (uint32_t i = 0; i < c->nr; i++) {
        by = read_superseder(c, i, r);
        if (by != NULL) {
            n = snprintf(text + at, size - at, "; not");
            at = n < 0 || (size_t)n >= size - at ? size - 1 : at + (size_t)n;
            at = add_text(text, size, at, &c->v[i]);
            n = snprintf(text + at, size - at, " because of");
            at = n < 0 || (size_t)n >= size - at ? size - 1 : at + (size_t)n;
            at = add_text(text, size, at, by);
        }
    }
    return -EILSEQ;
}

/* How many permitted writes explain the contents; the last of them in *ret_i. */
static unsigned
matches(const struct cands *c, const struct cands_read *r, enum stamp_kind kind,
        const struct stamp_id *id, uint32_t *ret_i)
{
    unsigned nr = 0;

    for (uint32_t i = 0; i < c->nr; i++) {
        const struct hist_cand *a = &c->v[i];
        bool is_same = kind == STAMP_ZERO ? a->kind != HIST_WRITE
                                          : a->kind == HIST_WRITE && a->seq == id->seq;

        if (is_same && read_superseder(c, i, r) == NULL) {
            *ret_i = i;
            nr++;
        }
    }
    return nr;
}

int
cands_read(struct cands *c, const struct cands_read *r, char *text, size_t size)
{
    struct stamp_id id;
    struct hist_cand *a;
    enum stamp_kind kind = stamp_read(r->data, &r->expect, &id);
    uint32_t i = 0;
    unsigned nr = 0;
    char found[160];

    if (c->nr == 0) {
        return 0; /* never written: anything may be there */
    }
    if (kind == STAMP_OK || kind == STAMP_ZERO) {
        nr = matches(c, r, kind, &id, &i);
    }
    if (nr == 0 && kind == STAMP_BROKEN && is_torn_by_race(c, r)) {
        return 1;
    }
    if (nr == 0) {
        stamp_text(found, sizeof(found), kind, r->data, &id);
        return refuse(c, r, found, text, size);
    }
    a = &c->v[i];
    if (nr == 1 && !a->is_merged) {
        a->known = known_after(a, r);
        a->current = current_after(a, r);
        a->is_sure = true;
    }
    return 0;
}
