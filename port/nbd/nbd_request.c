/* SPDX-License-Identifier: BSD-3-Clause */
#include "nbd_request.h"

#include <errno.h>

static int
submit_payload(struct nbd_shared *s, const struct req *rq)
{
    const uint32_t max = nbd_shared_info(s)->max_block;
    struct req part = *rq;
    uint32_t done = 0;
    struct nbd_call call;
    int rc = 0;

    while (rc == 0 && done < rq->len) {
        part.off = rq->off + done;
        part.buf = (char *)rq->buf + done;
        part.len = rq->len - done < max ? rq->len - done : max;
        rc = nbd_shared_exchange(s, &part, &call);
        done += part.len;
    }
    return rc;
}

/* Hand on what an answer says of the range from *off. A server may describe less than
 * it was asked for, or more; not nothing. */
static int
feed_sink(const struct req *rq, const struct nbd_call *call, uint64_t *off)
{
    const uint64_t begin = *off, end = rq->off + rq->len;
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < call->nr_extents && *off < end; i++) {
        uint64_t len = call->extents[i].len;

        len = len < end - *off ? len : end - *off;
        if (len > 0) {
            rc = rq->extents->add(rq->extents, *off, len, call->extents[i].type);
            *off += len;
        }
        if ((rq->flags & REQ_F_ONE) != 0) {
            break;
        }
    }
    return rc == 0 && *off == begin ? -EIO : rc;
}

static int
submit_extents(struct nbd_shared *s, const struct req *rq)
{
    const uint64_t end = rq->off + rq->len;
    struct req part = *rq;
    struct nbd_call call;
    int rc;

    do {
        part.len = (uint32_t)(end - part.off);
        rc = nbd_shared_exchange(s, &part, &call);
        if (rc == 0) {
            rc = feed_sink(&part, &call, &part.off);
        }
    } while (rc == 0 && part.off < end && (rq->flags & REQ_F_ONE) == 0);
    return rc;
}

int
nbd_request_submit(struct nbd_shared *s, const struct req *rq)
{
    struct nbd_call call;

    switch (rq->op) {
    case REQ_READ:
    case REQ_WRITE:
        return submit_payload(s, rq);
    case REQ_EXTENTS:
        return submit_extents(s, rq);
    case REQ_FLUSH:
    case REQ_TRIM:
    case REQ_ZERO:
    case REQ_CACHE:
        break;
    }
    return nbd_shared_exchange(s, rq, &call);
}

struct port_info
nbd_request_info(const struct nbd_shared *s)
{
    struct port_info info = *nbd_shared_info(s);

    info.max_block = UINT32_MAX;
    return info;
}
