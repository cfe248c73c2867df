/* SPDX-License-Identifier: BSD-3-Clause */
/* A part of what is below: a partition, or a given range. The place is found once, when
 * the layer is opened: a guest that rewrites the table does not move the disk under its
 * own requests. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "layer_param.h"
#include "layers.h"
#include "partition.h"

#define MIN_PREF_BLOCK 512U
#define MAX_PARTITION 1024

struct slice {
    struct port port;
    struct port *below;
    uint64_t start; /* of the slice on what is below */
};

/* Where the slice is: a partition to look for, or else a range. */
struct slice_place {
    struct partition_want want;
    bool is_range;
    uint64_t off, size;
};

struct slice_sink {
    struct extent_sink sink; /* given to what is below */
    struct extent_sink *above;
    uint64_t start, end;
};

/* An extent below may begin before the slice and reach past its end. */
static int
slice_sink_add(struct extent_sink *sink, uint64_t off, uint64_t len, uint32_t type)
{
    struct slice_sink *s = (struct slice_sink *)sink;
    uint64_t from = off > s->start ? off : s->start;
    uint64_t to = off + len < s->end ? off + len : s->end;

    if (from >= to) {
        return 0; /* wholly outside */
    }
    return s->above->add(s->above, from - s->start, to - from, type);
}

static int
slice_submit(struct port *p, const struct req *rq)
{
    struct slice *s = (struct slice *)p;
    struct req moved = *rq;
    struct slice_sink sink = {.sink.add = slice_sink_add,
                              .above = rq->extents,
                              .start = s->start,
                              .end = s->start + p->info.size};

    if (rq->op != REQ_FLUSH) { /* has no place, and covers all of what is below */
        moved.off += s->start;
    }
    if (rq->op == REQ_EXTENTS) {
        moved.extents = &sink.sink;
    }
    return port_submit(s->below, &moved);
}

static void
slice_close(struct port *p)
{
    free(p);
}

static const struct port_ops slice_ops = {
    .name = "slice",
    .says_may_block = true,
    .submit = slice_submit,
    .close = slice_close,
};

static int
parse_range(const char *off, const char *size, struct err *e,
            struct slice_place *ret_place)
{
    int rc;

    if (off == NULL || size == NULL) {
        return err_set(e, -EINVAL, "%s is missing; offset and size go together",
                       off == NULL ? "offset" : "size");
    }
    rc = layer_param_bytes("offset", off, e, &ret_place->off);
    if (rc < 0) {
        return rc;
    }
    rc = layer_param_bytes("size", size, e, &ret_place->size);
    if (rc < 0) {
        return rc;
    }
    if (ret_place->size == 0) {
        return err_set(e, -EINVAL, "size=%s: must be more than 0", size);
    }
    ret_place->is_range = true;
    return 0;
}

static int
parse(const struct layer_param *params, unsigned nr, struct err *e,
      struct slice_place *ret_place)
{
    static const char *const keys[] = {"partition", "label", "partuuid",
                                       "offset",    "size",  NULL};
    const char *number = layer_param_get(params, nr, "partition");
    const char *label = layer_param_get(params, nr, "label");
    const char *uuid = layer_param_get(params, nr, "partuuid");
    const char *off = layer_param_get(params, nr, "offset");
    const char *size = layer_param_get(params, nr, "size");
    uint64_t n = 0;
    int rc = layer_param_check(&layer_slice, keys, params, nr, e);

    if (rc < 0) {
        return rc;
    }
    if ((number != NULL) + (label != NULL) + (uuid != NULL) +
            (off != NULL || size != NULL) !=
        1) {
        return err_set(e, -EINVAL, "give exactly one place: %s", layer_slice.params);
    }
    *ret_place = (struct slice_place){.want = {.label = label, .uuid = uuid}};
    if (number != NULL) {
        rc = layer_param_number("partition", number, 1, MAX_PARTITION, e, &n);
        ret_place->want.number = (unsigned)n;
    } else if (off != NULL || size != NULL) {
        rc = parse_range(off, size, e, ret_place);
    }
    return rc;
}

static int
slice_check(const struct layer_param *params, unsigned nr, struct err *e)
{
    struct slice_place place;

    return parse(params, nr, e, &place);
}

static int
check_fits(const struct port_info *below, uint64_t off, uint64_t size, struct err *e)
{
    if (off > below->size || size > below->size - off) {
        return err_set(e, -EINVAL,
                       "%" PRIu64 " bytes at %" PRIu64
                       " reach past the end of the device of %" PRIu64 " bytes",
                       size, off, below->size);
    }
    if (((off | size) & (below->min_block - 1)) != 0) {
        return err_set(e, -EINVAL,
                       "%" PRIu64 " bytes at %" PRIu64 " do not begin and end at a "
                       "multiple of %u, the smallest block of the device",
                       size, off, below->min_block);
    }
    return 0;
}

/* What is aligned in the slice has to be aligned on what is below, too. */
static uint32_t
pref_block_at(const struct port_info *below, uint64_t off)
{
    uint32_t pref = below->pref_block;

    while (pref > MIN_PREF_BLOCK && pref > below->min_block && off % pref != 0) {
        pref /= 2;
    }
    return pref;
}

static int
slice_open(struct port *below, const struct layer_param *params, unsigned nr,
           struct err *e, struct port **ret_layer)
{
    struct slice_place place = {.is_range = false};
    struct slice *s;
    int rc = parse(params, nr, e, &place);

    if (rc < 0) {
        return rc;
    }
    if (!place.is_range) {
        rc = partition_find(below, &place.want, e, &place.off, &place.size);
        if (rc < 0) {
            return rc;
        }
    }
    rc = check_fits(&below->info, place.off, place.size, e);
    if (rc < 0) {
        return rc;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    s->port = (struct port){.ops = &slice_ops, .info = below->info};
    s->port.info.size = place.size;
    s->port.info.pref_block = pref_block_at(&below->info, place.off);
    s->below = below;
    s->start = place.off;
    *ret_layer = &s->port;
    return 0;
}

const struct layer_type layer_slice = {
    .name = "slice",
    .params = "partition=NUMBER | label=TEXT | partuuid=UUID | "
              "offset=BYTES and size=BYTES (K, M, G, T)",
    .check = slice_check,
    .open = slice_open,
};
