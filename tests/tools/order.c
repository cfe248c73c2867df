/* SPDX-License-Identifier: BSD-3-Clause */
#include "order.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cleanup.h"
#include "stamp.h"

#define MAX_CELLS (1u << 20)
#define LIVE_READS 1000 /* a block that stays torn for so long is torn */

int
order_init(struct order *o)
{
    o->values = calloc((size_t)o->nr_slots * o->nr_disks, sizeof(*o->values));
    return o->values == NULL ? -ENOMEM : 0;
}

void
order_done(struct order *o)
{
    free(o->values);
    o->values = NULL;
}

static enum stamp_kind
read_value(struct order *o, unsigned slot, unsigned disk, const void *sector,
           struct stamp_id *ret_id)
{
    struct stamp_id expect = {.run = o->run, .sector = o->offset / STAMP_SECTOR + slot};
    enum stamp_kind kind = stamp_read(sector, &expect, ret_id);

    if (kind == STAMP_FOREIGN && o->run == 0) {
        o->run = expect.run = ret_id->run;
        kind = stamp_read(sector, &expect, ret_id);
    }
    if (kind == STAMP_OK && ret_id->writer != disk) {
        return STAMP_MISPLACED;
    }
    o->values[(size_t)slot * o->nr_disks + disk] = ret_id->seq;
    return kind;
}

/* A live block may be read half written; it is whole in one of the next reads. */
static int
read_disk(struct order *o, unsigned disk, unsigned char *buf, order_read_fn *fn,
          void *opaque, struct err *e)
{
    uint64_t size = (uint64_t)o->nr_slots * STAMP_SECTOR;
    unsigned left = o->is_live ? LIVE_READS : 1;
    int rc = fn(opaque, disk, o->offset, buf, size, e);

    for (unsigned slot = 0; rc == 0 && slot < o->nr_slots;) {
        const unsigned char *sector = buf + (size_t)slot * STAMP_SECTOR;
        struct stamp_id id;
        enum stamp_kind kind = read_value(o, slot, disk, sector, &id);
        char text[200];

        if (kind == STAMP_OK) {
            slot++;
            continue;
        }
        if (kind != STAMP_BROKEN || --left == 0) {
            stamp_text(text, sizeof(text), kind, sector, &id);
            return err_set(e, -EILSEQ, "disk %u slot %u holds %s", disk + 1, slot,
                           text);
        }
        rc = fn(opaque, disk, o->offset, buf, size, e);
    }
    return rc;
}

int
order_read(struct order *o, order_read_fn *fn, void *opaque, struct err *e)
{
    unsigned char *buf AUTO_FREE = malloc((size_t)o->nr_slots * STAMP_SECTOR);
    int rc = buf == NULL ? err_set(e, -ENOMEM, "out of memory") : 0;

    for (unsigned disk = o->nr_disks; rc == 0 && disk-- > 0;) {
        rc = read_disk(o, disk, buf, fn, opaque, e);
    }
    return rc;
}

int
order_check(const struct order *o, struct err *e)
{
    for (unsigned slot = 0; slot < o->nr_slots; slot++) {
        const uint64_t *v = &o->values[(size_t)slot * o->nr_disks];
        unsigned last = o->nr_disks - 1;

        for (unsigned d = 0; d < last; d++) {
            if (v[d] < v[d + 1]) {
                return err_set(e, -EILSEQ,
                               "slot %u: disk %u holds %" PRIu64
                               ", disk %u after it already %" PRIu64,
                               slot, d + 1, v[d], d + 2, v[d + 1]);
            }
        }
        if (!o->is_live && v[0] - v[last] > 1) {
            return err_set(e, -EILSEQ,
                           "slot %u: disk 1 holds %" PRIu64 ", disk %u only %" PRIu64
                           ": an acknowledged write is lost",
                           slot, v[0], last + 1, v[last]);
        }
    }
    return 0;
}

int
order_check_chains(const struct order *o, const struct order_chain *chains,
                   struct err *e)
{
    for (unsigned slot = 0; slot < o->nr_slots; slot++) {
        const struct order_chain *c = &chains[slot];

        for (unsigned d = 0; d < o->nr_disks; d++) {
            uint64_t v = o->values[(size_t)slot * o->nr_disks + d];
            uint64_t acked = d < c->disk ? c->n : c->n - 1;
            uint64_t sent = d == c->disk && c->is_sent ? c->n : acked;

            if (v < acked || v > sent) {
                return err_set(e, -EILSEQ,
                               "slot %u: disk %u holds %" PRIu64 ", but %" PRIu64
                               " was acknowledged and %" PRIu64 " sent",
                               slot, d + 1, v, acked, sent);
            }
        }
    }
    return 0;
}

int
order_save(const char *path, const struct order *o, const struct order_chain *chains,
           struct err *e)
{
    FILE *to = fopen(path, "we");
    int rc = 0;

    if (to == NULL) {
        return err_set(e, -errno, "%s: cannot be written", path);
    }
    (void)fprintf(to, "grouporder-journal 1 %" PRIu64 " %" PRIu64 " %u %u\n", o->run,
                  o->offset, o->nr_slots, o->nr_disks);
    for (unsigned slot = 0; slot < o->nr_slots; slot++) {
        (void)fprintf(to, "%" PRIu64 " %u %u\n", chains[slot].n, chains[slot].disk,
                      chains[slot].is_sent); /* errors stick to the stream */
    }
    if (fflush(to) != 0 || fsync(fileno(to)) < 0) {
        rc = -errno;
    }
    if (fclose(to) != 0 && rc == 0) {
        rc = -errno;
    }
    return rc < 0 ? err_set(e, rc, "%s: journal not written", path) : 0;
}

static int
load_chains(FILE *from, const struct order *o, struct order_chain *chains)
{
    for (unsigned slot = 0; slot < o->nr_slots; slot++) {
        struct order_chain *c = &chains[slot];
        unsigned is_sent;

        if (fscanf(from, "%" SCNu64 " %u %u\n", &c->n, &c->disk, &is_sent) != 3 ||
            c->n == 0 || c->disk >= o->nr_disks) {
            return -EINVAL;
        }
        c->is_sent = is_sent != 0;
    }
    return 0;
}

int
order_load(const char *path, struct order *o, struct order_chain **ret_chains,
           struct err *e)
{
    FILE *from AUTO_FILE = fopen(path, "re");
    struct order_chain *chains AUTO_FREE = NULL;

    if (from == NULL) {
        return err_set(e, -errno, "%s: cannot be read", path);
    }
    if (fscanf(from, "grouporder-journal 1 %" SCNu64 " %" SCNu64 " %u %u\n", &o->run,
               &o->offset, &o->nr_slots, &o->nr_disks) != 4 ||
        o->nr_slots == 0 || o->nr_disks < 2 || o->nr_slots > MAX_CELLS / o->nr_disks) {
        return err_set(e, -EINVAL, "%s is not a journal", path);
    }
    chains = calloc(o->nr_slots, sizeof(*chains));
    if (chains == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    if (load_chains(from, o, chains) < 0) {
        return err_set(e, -EINVAL, "%s: wrong line", path);
    }
    *ret_chains = TAKE(chains);
    return 0;
}
