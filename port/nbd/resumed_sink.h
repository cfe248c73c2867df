/* SPDX-License-Identifier: BSD-3-Clause */
/* resumed_sink.h - extents over several tries, for ports that send a request again. */
#ifndef BATON_RESUMED_SINK_H
#define BATON_RESUMED_SINK_H

#include "port.h"

/* A request for extents may break off after some were given out; the next attempt
 * starts again, and this leaves out what the sink has had. */
struct resumed_sink {
    struct extent_sink sink;
    struct extent_sink *inner;
    uint64_t next;
    int rc; /* of the inner sink */
};

static inline int
resumed_add(struct extent_sink *s, uint64_t off, uint64_t len, uint32_t type)
{
    struct resumed_sink *r = (struct resumed_sink *)s;
    uint64_t end = off + len;

    if (end > r->next) {
        r->rc = r->inner->add(r->inner, r->next, end - r->next, type);
        r->next = end;
    }
    return r->rc;
}

static inline struct resumed_sink
resumed_sink(struct extent_sink *inner, uint64_t off)
{
    return (struct resumed_sink){.sink.add = resumed_add, .inner = inner, .next = off};
}

#endif
