/* SPDX-License-Identifier: BSD-3-Clause */
/* The edges of all changes cut the device into cells. The changes take their cells one
 * after the other, the newest first, and each takes only what is free; a free cell is
 * found by skipping those that are taken (skip[]), so that all of it takes about as
 * long as sorting the edges, however many changes overlap. */
#include "unflushed_plan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"

struct plan {
    uint64_t *edges; /* sorted, each once; cell i is from edge i to edge i + 1 */
    size_t nr_edges;
    size_t *skip; /* i if cell i is free, else a later cell, from which to go on */
    struct unflushed_piece *pieces;
    size_t nr, max;
};

static int
compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void
collect_edges(struct plan *p, const struct unflushed_table *t)
{
    const struct unflushed_change *k;
    size_t nr = 0;

    TAILQ_FOREACH(k, &t->list, link)
    {
        p->edges[nr++] = k->rq.off;
        p->edges[nr++] = k->rq.off + k->rq.len;
    }
    qsort(p->edges, nr, sizeof *p->edges, compare);
    for (size_t i = 0; i < nr; i++) {
        if (i == 0 || p->edges[i] != p->edges[p->nr_edges - 1]) {
            p->edges[p->nr_edges++] = p->edges[i];
        }
    }
    for (size_t i = 0; i < p->nr_edges; i++) {
        p->skip[i] = i;
    }
}

static size_t
edge_at(const struct plan *p, uint64_t off)
{
    const uint64_t *edge =
        bsearch(&off, p->edges, p->nr_edges, sizeof *p->edges, compare);

    assert(edge != NULL);
    return (size_t)(edge - p->edges);
}

/* The first free cell from i on; the last edge, which begins none, is never taken. */
static size_t
first_free(struct plan *p, size_t i)
{
    size_t free_cell = i;

    while (p->skip[free_cell] != free_cell) {
        free_cell = p->skip[free_cell];
    }
    while (p->skip[i] != free_cell && i != free_cell) { /* shorter for the next one */
        size_t next = p->skip[i];

        p->skip[i] = free_cell;
        i = next;
    }
    return free_cell;
}

static void
add_piece(struct plan *p, struct unflushed_change *k, size_t from, size_t to)
{
    struct unflushed_piece *piece = &p->pieces[p->nr++];

    assert(p->nr <= p->max);
    *piece = (struct unflushed_piece){.change = k, .rq = k->rq};
    piece->rq.off = p->edges[from];
    piece->rq.len = (uint32_t)(p->edges[to] - p->edges[from]);
    if (k->rq.op == REQ_WRITE) {
        piece->rq.buf = k->data + (piece->rq.off - k->rq.off);
    }
}

static void
take_cells(struct plan *p, struct unflushed_change *k)
{
    const size_t end = edge_at(p, k->rq.off + k->rq.len);
    size_t i = first_free(p, edge_at(p, k->rq.off));

    while (i < end) {
        const size_t begin = i;

        for (; i < end && p->skip[i] == i; i++) {
            p->skip[i] = i + 1;
        }
        if (k->is_lost) {
            add_piece(p, k, begin, i);
        }
        i = first_free(p, i);
    }
}

/* Nobody needs what newer ones cover wholly, and it must not outlive them: they may be
 * flushed, and forgotten, before all is sent. */
static void
forget_covered(struct unflushed_table *t, const struct plan *p)
{
    struct unflushed_change *k = unflushed_next_lost(t, NULL), *next;
    size_t i = 0;

    for (; k != NULL; k = next) {
        next = unflushed_next_lost(t, k);
        if (i == p->nr || p->pieces[i].change != k) {
            unflushed_drop(t, k);
        }
        while (i < p->nr && p->pieces[i].change == k) {
            i++;
        }
    }
}

int
unflushed_plan(struct unflushed_table *t, struct unflushed_piece **ret_pieces,
               size_t *ret_nr)
{
    AUTO_FREE uint64_t *edges = calloc(2 * t->nr + 1, sizeof *edges);
    AUTO_FREE size_t *skip = calloc(2 * t->nr + 1, sizeof *skip);
    struct plan p = {.edges = edges, .skip = skip, .max = 2 * t->nr + 1};
    struct unflushed_change *k;

    p.pieces = calloc(p.max, sizeof *p.pieces);
    if (edges == NULL || skip == NULL || p.pieces == NULL) {
        free(p.pieces);
        return -ENOMEM;
    }
    collect_edges(&p, t);
    TAILQ_FOREACH_REVERSE(k, &t->list, unflushed_list, link)
    {
        take_cells(&p, k);
    }
    for (size_t i = 0; i < p.nr / 2; i++) { /* the oldest first */
        struct unflushed_piece last = p.pieces[p.nr - 1 - i];

        p.pieces[p.nr - 1 - i] = p.pieces[i];
        p.pieces[i] = last;
    }
    forget_covered(t, &p);
    *ret_pieces = p.pieces;
    *ret_nr = p.nr;
    return 0;
}
