/* SPDX-License-Identifier: BSD-3-Clause */
/* The checked wrappers. What comes from outside is refused by port_check(), once, at
 * the entry; port_submit() only asserts it. What a port cannot do natively is made up
 * for here, so that no implementation and no layer has to. */
#include "port.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include "may_block.h"

#define ZERO_CHUNK 65536U

static const char zeroes[ZERO_CHUNK] __attribute__((aligned(4096)));

const char *
req_op_name(enum req_op op)
{
    static const char *const names[REQ_NR_OPS] = {"read", "write", "flush",  "trim",
                                                  "zero", "cache", "extents"};

    assert((unsigned)op < REQ_NR_OPS);
    return names[op];
}

bool
req_is_change(const struct req *rq)
{
    return rq->op == REQ_WRITE || rq->op == REQ_TRIM || rq->op == REQ_ZERO;
}

bool
req_conflicts(const struct req *a, const struct req *b)
{
    return (req_is_change(a) || req_is_change(b)) && a->off < b->off + b->len &&
           b->off < a->off + a->len;
}

static uint32_t
allowed_flags(enum req_op op)
{
    switch (op) {
    case REQ_READ:
        return REQ_F_UNCACHED;
    case REQ_WRITE:
    case REQ_TRIM:
        return REQ_F_FUA;
    case REQ_ZERO:
        return REQ_F_FUA | REQ_F_MAY_TRIM | REQ_F_FAST;
    case REQ_EXTENTS:
        return REQ_F_ONE;
    case REQ_FLUSH:
    case REQ_CACHE:
        return 0;
    }
    return 0;
}

static int
check_range(const struct port_info *info, const struct req *rq)
{
    if (rq->off > info->size || rq->len > info->size - rq->off) {
        return rq->op == REQ_WRITE || rq->op == REQ_ZERO ? -ENOSPC : -EINVAL;
    }
    if (rq->len == 0 || ((rq->off | rq->len) & (info->min_block - 1)) != 0) {
        return -EINVAL;
    }
    if ((rq->op == REQ_READ || rq->op == REQ_WRITE) && rq->len > info->max_block) {
        return -EINVAL;
    }
    return 0;
}

int
port_check(const struct port_info *info, const struct req *rq)
{
    if ((unsigned)rq->op >= REQ_NR_OPS || (rq->flags & ~allowed_flags(rq->op)) != 0) {
        return -EINVAL;
    }
    if (req_is_change(rq) && (info->caps & PORT_CAN_WRITE) == 0) {
        return -EPERM;
    }
    if (rq->op == REQ_FLUSH) {
        return rq->off == 0 && rq->len == 0 ? 0 : -EINVAL;
    }
    return check_range(info, rq);
}

static int
submit_native(struct port *p, const struct req *rq)
{
    int rc;

    if (!p->ops->says_may_block) {
        may_block();
    }
    rc = p->ops->submit(p, rq);
    assert(rc <= 0 && rc > -4096);
    return rc;
}

/* Of one that follows another: the caller may not take the whole for not performed. */
static int
later(int rc)
{
    return rc == -ESTALE ? -EIO : rc;
}

/* NOLINTBEGIN(misc-no-recursion): what is sent again has a flag less, or is a write or
 * a flush, which are not broken up any more. */
static int
flush_after(struct port *p, const struct req *rq)
{
    const struct req flush = {.op = REQ_FLUSH,
                              .origin = rq->origin,
                              .requester = rq->requester,
                              .vm = rq->vm,
                              .deadline_ns = rq->deadline_ns};
    struct req plain = *rq;
    int rc;

    plain.flags &= ~REQ_F_FUA;
    rc = port_submit(p, &plain);
    return rc < 0 ? rc : later(port_submit(p, &flush));
}

static int
write_zeroes(struct port *p, const struct req *rq, uint32_t flags)
{
    uint32_t chunk = p->info.max_block < ZERO_CHUNK ? p->info.max_block : ZERO_CHUNK;
    struct req part = {.op = REQ_WRITE,
                       .flags = flags,
                       .off = rq->off,
                       .origin = rq->origin,
                       .requester = rq->requester,
                       .vm = rq->vm,
                       .deadline_ns = rq->deadline_ns};
    uint64_t end = rq->off + rq->len;
    int rc;

    while (part.off < end) {
        part.len = end - part.off < chunk ? (uint32_t)(end - part.off) : chunk;
        part.buf = (void *)(uintptr_t)zeroes; /* a write does not modify its buffer */
        rc = port_submit(p, &part);
        if (rc < 0) {
            return part.off == rq->off ? rc : later(rc);
        }
        part.off += part.len;
    }
    return 0;
}

static int
zero_by_writing(struct port *p, const struct req *rq)
{
    if ((rq->flags & REQ_F_FAST) != 0) {
        return -ENOTSUP;
    }
    if ((rq->flags & REQ_F_FUA) != 0 && (p->info.caps & PORT_CAN_FLUSH) != 0) {
        return flush_after(p, rq); /* one flush costs less than many durable writes */
    }
    return write_zeroes(p, rq, rq->flags & REQ_F_FUA);
}

static _Atomic uint64_t newest_requester = REQ_OF_OURS; /* relaxed: a number, no more */

uint64_t
req_new_requester(void)
{
    return atomic_fetch_add_explicit(&newest_requester, 1, memory_order_relaxed) + 1;
}

uint64_t
req_newest_requester(void)
{
    return atomic_load_explicit(&newest_requester, memory_order_relaxed);
}

int
port_submit(struct port *p, const struct req *rq)
{
    uint32_t caps = p->info.caps;

    assert(port_check(&p->info, rq) == 0);
    if ((rq->flags & REQ_F_FUA) != 0 && (caps & PORT_CAN_FUA) == 0) {
        return flush_after(p, rq);
    }
    switch (rq->op) {
    case REQ_READ:
    case REQ_WRITE:
        break;
    case REQ_FLUSH:
        if ((caps & PORT_CAN_FLUSH) == 0) {
            return 0;
        }
        break;
    case REQ_TRIM:
        if ((caps & PORT_CAN_TRIM) == 0) {
            return 0;
        }
        break;
    case REQ_ZERO:
        if ((caps & PORT_CAN_ZERO) == 0 ||
            ((rq->flags & REQ_F_FAST) != 0 && (caps & PORT_CAN_FAST_ZERO) == 0)) {
            return zero_by_writing(p, rq);
        }
        break;
    case REQ_CACHE:
        if ((caps & PORT_CAN_CACHE) == 0) {
            return 0;
        }
        break;
    case REQ_EXTENTS:
        if ((caps & PORT_CAN_EXTENTS) == 0) {
            return rq->extents->add(rq->extents, rq->off, rq->len, 0);
        }
        break;
    }
    return submit_native(p, rq);
}
/* NOLINTEND(misc-no-recursion) */

int
port_own(struct port *p, struct err *e)
{
    int rc = p->ops->own != NULL ? p->ops->own(p, e) : 0;

    assert(rc <= 0 && rc > -4096);
    return rc;
}

void
port_disown(struct port *p)
{
    if (p->ops->disown != NULL) {
        p->ops->disown(p);
    }
}

int
port_identify(struct port *p, char *id, int id_size)
{
    int n = 0;

    assert(id_size > 0);
    id[0] = '\0';
    if (p->ops->identify != NULL) {
        n = p->ops->identify(p, id, id_size);
        assert(n >= 0 && n < id_size);
    }
    return n;
}

uint64_t
port_size_now(struct port *p)
{
    uint64_t size = p->ops->size_now != NULL ? p->ops->size_now(p) : 0;

    return size != 0 ? size : p->info.size;
}

void
port_note_lost(struct port *p, int rc)
{
    assert(rc < 0);
    if (p->ops->note_lost != NULL) {
        p->ops->note_lost(p, rc);
    }
}

void
port_close(struct port *p)
{
    if (p != NULL) {
        p->ops->close(p);
    }
}

int
port_info_can_replace(const struct port_info *had, const struct port_info *next,
                      struct err *e)
{
    if (next->size < had->size) {
        return err_set(e, -EINVAL, "the size is %llu bytes, not %llu",
                       (unsigned long long)next->size, (unsigned long long)had->size);
    }
    if (next->min_block > had->min_block) {
        return err_set(e, -EINVAL, "the smallest request is %u bytes, not %u",
                       next->min_block, had->min_block);
    }
    if (next->max_block < had->max_block) {
        return err_set(e, -EINVAL, "the largest request is %u bytes, not %u",
                       next->max_block, had->max_block);
    }
    if ((had->caps & PORT_CAN_WRITE) != 0 && (next->caps & PORT_CAN_WRITE) == 0) {
        return err_set(e, -EINVAL, "it is read-only, and the disk is not");
    }
    if ((had->caps & PORT_CAN_FLUSH) != 0 && (next->caps & PORT_CAN_FLUSH) == 0) {
        return err_set(e, -EINVAL, "it cannot flush, and the disk can");
    }
    if ((had->caps & PORT_CAN_MULTI_CONN) != 0 &&
        (next->caps & PORT_CAN_MULTI_CONN) == 0) {
        return err_set(e, -EINVAL,
                       "it is not safe for several connections at once, "
                       "and the disk is");
    }
    return 0;
}
