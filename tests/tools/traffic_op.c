/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "link.h"
#include "stamp.h"
#include "traffic_conn.h"

const char *
traffic_op_name(enum traffic_op kind)
{
    static const char *const names[TRAFFIC_NR_OPS] = {
        "read", "write", "write_fua", "flush", "trim", "zero", "zero_no_hole"};

    return names[kind];
}

void
traffic_op_note(const struct conn *c, const struct op *op, enum trail_what what)
{
    struct trail_event e = {.conn = (uint16_t)c->index, .what = (uint16_t)what};

    if (op != NULL) {
        e.kind = traffic_op_name(op->kind);
    }
    if (op != NULL && op->kind == TRAFFIC_READ) {
        e.sector = op->read.sector;
        e.nr_sectors = op->read.nr_sectors;
    } else if (op != NULL && op->kind != TRAFFIC_FLUSH) {
        e.sector = op->write.sector;
        e.nr_sectors = op->write.nr_sectors;
        e.seq = op->write.seq;
    }
    trail_note(c->t->params->trail, &e);
}

int
traffic_op_learn(struct conn *c, char *text, size_t size)
{
    const struct hist_params *area = hist_params(c->t->h);
    int64_t least = nbd_get_block_size(c->nbd, LIBNBD_SIZE_MINIMUM);
    int64_t disk = nbd_get_size(c->nbd);
    uint64_t end = (area->first_sector + area->nr_sectors) * STAMP_SECTOR;

    c->can_fua = nbd_can_fua(c->nbd) == 1;
    c->can_trim = nbd_can_trim(c->nbd) == 1;
    c->can_zero = nbd_can_zero(c->nbd) == 1;
    c->can_flush = nbd_can_flush(c->nbd) == 1;
    c->align = least > STAMP_SECTOR ? (uint64_t)least / STAMP_SECTOR : 1;
    if (disk < 0 || (uint64_t)disk < end || area->nr_sectors % c->align != 0 ||
        area->first_sector % c->align != 0) {
        (void)snprintf(text, size,
                       "disk of %" PRId64 " bytes in blocks of %" PRId64
                       " does not hold the working area up to %" PRIu64,
                       disk, least, end);
        return -EINVAL;
    }
    if (nbd_is_read_only(c->nbd) == 1) {
        (void)snprintf(text, size, "the disk is read-only");
        return -EROFS;
    }
    return 0;
}

static uint64_t
random_next(struct conn *c)
{
    c->rng ^= c->rng << 13;
    c->rng ^= c->rng >> 7;
    c->rng ^= c->rng << 17;
    return c->rng >> 11;
}

static enum traffic_op
choose_kind(struct conn *c)
{
    const struct traffic_params *p = c->t->params;
    unsigned dice = (unsigned)(random_next(c) % 100);

    if (dice < 45) {
        return TRAFFIC_READ;
    }
    if (dice < 48 && c->can_fua) {
        return TRAFFIC_WRITE_FUA;
    }
    if (dice < 50 && c->can_flush) {
        return TRAFFIC_FLUSH;
    }
    if (dice < 54 && c->can_trim && !p->no_trim) {
        return TRAFFIC_TRIM;
    }
    if (dice < 60 && c->can_zero && !p->no_zero) {
        return dice < 57 ? TRAFFIC_ZERO : TRAFFIC_ZERO_NO_HOLE;
    }
    return TRAFFIC_WRITE;
}

/* Sizes are spread evenly over powers of two, and half of the requests go to the first
 * 32nd of the area, so that many overlap. */
static void
choose_range(struct conn *c, uint64_t *ret_sector, uint32_t *ret_nr)
{
    const struct traffic_params *p = c->t->params;
    uint64_t area = hist_params(c->t->h)->nr_sectors;
    uint32_t least = p->min_block / STAMP_SECTOR, most = p->max_block / STAMP_SECTOR;
    unsigned steps = 1;
    uint64_t nr, room;

    while ((uint64_t)least << steps <= most) {
        steps++;
    }
    nr = (uint64_t)least << (random_next(c) % steps);
    nr += random_next(c) % nr;
    nr = nr > most ? most : nr;
    nr = (nr + c->align - 1) / c->align * c->align;
    nr = nr > area ? area : nr;
    room = area - nr;
    if (random_next(c) % 2 == 0) {
        room = room > area / 32 ? area / 32 : room;
    }
    *ret_sector = random_next(c) % (room / c->align + 1) * c->align;
    *ret_nr = (uint32_t)nr;
}

/* FILL and VERIFY: in order, a flush at one end. 0 when done. */
static int
choose_in_order(struct conn *c, enum traffic_op *ret_kind, uint64_t *ret_sector,
                uint32_t *ret_nr)
{
    uint64_t left = hist_params(c->t->h)->nr_sectors - c->next;
    uint32_t most = c->t->params->max_block / STAMP_SECTOR;
    bool is_turn = c->t->phase == TRAFFIC_FILL ? left == 0 : c->next == 0;

    *ret_sector = c->next;
    if (!c->is_flushed && c->can_flush && is_turn) {
        if (c->nr_busy > 0) {
            return 0; /* asked again when the writes have ended */
        }
        c->is_flushed = true;
        *ret_kind = TRAFFIC_FLUSH;
        *ret_nr = 0;
        return 1;
    }
    if (left == 0) {
        return 0;
    }
    *ret_kind = c->t->phase == TRAFFIC_FILL ? TRAFFIC_WRITE : TRAFFIC_READ;
    *ret_nr = left < most ? (uint32_t)left : most;
    c->next += *ret_nr;
    return 1;
}

static int
choose(struct conn *c, enum traffic_op *ret_kind, uint64_t *ret_sector,
       uint32_t *ret_nr)
{
    struct traffic *t = c->t;
    uint64_t most = t->params->max_ops;

    if (t->phase != TRAFFIC_RANDOM) {
        return choose_in_order(c, ret_kind, ret_sector, ret_nr);
    }
    if (atomic_fetch_add_explicit(&t->nr_started, 1, memory_order_relaxed) >= most &&
        most > 0) {
        return 0;
    }
    *ret_kind = choose_kind(c);
    choose_range(c, ret_sector, ret_nr);
    return 1;
}

static void
fill_buffer(struct conn *c, struct op *op)
{
    struct stamp_id id = {.run = hist_params(c->t->h)->run,
                          .seq = op->write.seq,
                          .writer = op->write.writer};

    for (uint32_t i = 0; i < op->write.nr_sectors; i++) {
        id.sector = hist_params(c->t->h)->first_sector + op->write.sector + i;
        stamp_fill(op->buf + (size_t)i * STAMP_SECTOR, &id);
    }
}

int
traffic_op_begin(struct conn *c, struct op *op)
{
    static const enum hist_kind kinds[TRAFFIC_NR_OPS] = {[TRAFFIC_TRIM] = HIST_TRIM,
                                                         [TRAFFIC_ZERO] = HIST_ZERO,
                                                         [TRAFFIC_ZERO_NO_HOLE] =
                                                             HIST_ZERO};
    uint64_t sector;
    uint32_t nr;
    int rc = choose(c, &op->kind, &sector, &nr);

    if (rc <= 0) {
        return rc;
    }
    op->start_ns = clock_now_ns();
    op->is_again = false;
    if (op->kind == TRAFFIC_FLUSH) {
        op->flush_began = hist_flush_begin(c->t->h);
        return 1;
    }
    if (op->kind == TRAFFIC_READ) {
        op->read = (struct hist_read){.sector = sector, .nr_sectors = nr};
        hist_read_begin(c->t->h, &op->read);
        return 1;
    }
    op->write = (struct hist_write){.kind = kinds[op->kind],
                                    .is_fua = op->kind == TRAFFIC_WRITE_FUA,
                                    .sector = sector,
                                    .nr_sectors = nr,
                                    .writer = c->index};
    rc = hist_write_begin(c->t->h, &op->write);
    if (rc == 0 && op->write.kind == HIST_WRITE) {
        fill_buffer(c, op);
    }
    return rc < 0 ? rc : 1;
}

int
traffic_op_again(struct conn *c, struct op *op)
{
    c->report.sent_again++;
    op->is_again = true;
    if (op->kind == TRAFFIC_FLUSH) {
        op->flush_began = hist_flush_begin(c->t->h);
        return 0;
    }
    if (op->kind == TRAFFIC_READ) {
        hist_read_lost(c->t->h, &op->read);
        hist_read_begin(c->t->h, &op->read);
        return 0;
    }
    return hist_write_again(c->t->h, &op->write);
}

/* The library calls this on c's own thread, from within nbd_poll(). */
static int
on_complete(void *user, int *error)
{
    struct op *op = user;

    op->error = *error;
    op->state = OP_DONE;
    return 1; /* retire the command */
}

void
traffic_op_send(struct conn *c, struct op *op)
{
    nbd_completion_callback done = {.callback = on_complete, .user_data = op};
    uint64_t sector = op->kind == TRAFFIC_READ ? op->read.sector : op->write.sector;
    uint64_t at = c->t->params->offset + sector * STAMP_SECTOR;
    uint64_t len = (uint64_t)op->write.nr_sectors * STAMP_SECTOR;
    int64_t cookie = -1;

    traffic_op_note(c, op, op->is_again ? TRAIL_AGAIN : TRAIL_SENT);
    op->state = OP_SENT; /* before the call: the reply may come within it */
    switch (op->kind) {
    case TRAFFIC_READ:
        len = (uint64_t)op->read.nr_sectors * STAMP_SECTOR;
        memset(op->buf, 0x5a, len); /* a reply that brings no data must show */
        cookie = nbd_aio_pread(c->nbd, op->buf, len, at, done, 0);
        break;
    case TRAFFIC_WRITE:
        cookie = nbd_aio_pwrite(c->nbd, op->buf, len, at, done, 0);
        break;
    case TRAFFIC_WRITE_FUA:
        cookie = nbd_aio_pwrite(c->nbd, op->buf, len, at, done, LIBNBD_CMD_FLAG_FUA);
        break;
    case TRAFFIC_FLUSH:
        cookie = nbd_aio_flush(c->nbd, done, 0);
        break;
    case TRAFFIC_TRIM:
        cookie = nbd_aio_trim(c->nbd, len, at, done, 0);
        break;
    case TRAFFIC_ZERO:
        cookie = nbd_aio_zero(c->nbd, len, at, done, 0);
        break;
    case TRAFFIC_ZERO_NO_HOLE:
        cookie = nbd_aio_zero(c->nbd, len, at, done, LIBNBD_CMD_FLAG_NO_HOLE);
        break;
    case TRAFFIC_NR_OPS:
        assert(!"not a request");
    }
    if (cookie < 0 && op->state == OP_SENT) {
        op->state = OP_LOST;
    }
    if (c->why == 0 && (cookie < 0 || link_is_over(c->nbd))) {
        c->why = link_judge(c->nbd, c->why_text, sizeof(c->why_text));
    }
}

/* "BEGAN ENDED OP CONNECTION", both in microseconds since 1970: others have that clock,
 * too. */
static void
tell_slow(const struct conn *c, const struct op *op, uint64_t ns)
{
    FILE *to = c->t->params->slow;
    struct timespec now;
    uint64_t now_us;

    if (to == NULL || ns < c->t->params->slow_ns) {
        return;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    (void)fprintf(to, "%" PRIu64 " %" PRIu64 " %s %u\n", now_us - ns / NS_PER_US,
                  now_us, traffic_op_name(op->kind), c->index);
    (void)fflush(to); /* whoever reads it misses a line */
}

int
traffic_op_end(struct conn *c, struct op *op, char *text, size_t size)
{
    uint64_t sector = op->kind == TRAFFIC_READ ? op->read.sector : op->write.sector;
    uint64_t took_ns = clock_now_ns() - op->start_ns;
    int rc = 0;

    traffic_op_note(c, op, op->error != 0 ? TRAIL_FAILED : TRAIL_ANSWERED);
    if (op->error != 0) {
        if (op->kind == TRAFFIC_READ) {
            hist_read_lost(c->t->h, &op->read);
        }
        (void)snprintf(
            text, size,
            "%s of area sector %" PRIu64 " on connection %u got an error reply: %s",
            traffic_op_name(op->kind), op->kind == TRAFFIC_FLUSH ? 0 : sector, c->index,
            strerrordesc_np(op->error));
        return -EILSEQ;
    }
    if (op->kind == TRAFFIC_READ) {
        rc = hist_read_end(c->t->h, &op->read, op->buf, text, size);
        c->report.bytes += (uint64_t)op->read.nr_sectors * STAMP_SECTOR;
    } else if (op->kind == TRAFFIC_FLUSH) {
        hist_flush_end(c->t->h, op->flush_began);
    } else {
        hist_write_end(c->t->h, &op->write);
        c->report.bytes += (uint64_t)op->write.nr_sectors * STAMP_SECTOR;
    }
    c->report.ops[op->kind]++;
    latency_add(&c->report.latency, took_ns);
    tell_slow(c, op, took_ns);
    return rc;
}
