/* SPDX-License-Identifier: BSD-3-Clause */
/* A device in memory. The bytes are one anonymous mapping, so a large device costs
 * only what was written. They are reached in chunks of 64 KiB, each under one of 64
 * locks: requests in different chunks run in parallel, and overlapping ones tear only
 * at chunk boundaries instead of racing. What each 4 KiB block consists of is kept
 * beside it, for extents. */
#include "port_mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lock.h"

#define MEM_BLOCK UINT64_C(4096)
#define MEM_CHUNK UINT64_C(65536)
#define MEM_NR_LOCKS 64

enum mem_state { MEM_HOLE, MEM_DATA, MEM_ZEROED }; /* HOLE is what mmap() gives */

struct mem {
    struct port port;
    struct lk locks[MEM_NR_LOCKS]; /* leaf: chunk i is under lock i % MEM_NR_LOCKS */
    struct mem_locked {
        unsigned char *bytes;
        unsigned char *states; /* enum mem_state of each block */
        size_t nr_bytes;       /* mapped: size rounded up to a block, at least one */
    } locked_;
};

static struct lk *
lock_of(struct mem *m, uint64_t off)
{
    return &m->locks[off / MEM_CHUNK % MEM_NR_LOCKS];
}

/* l is the lock of the chunk that will be touched. */
static struct mem_locked *
mem_locked(struct mem *m, struct lk *l) LK_REQUIRES(*l)
{
    (void)l;
    return &m->locked_;
}

static uint64_t
part_len(uint64_t off, uint64_t end, uint64_t unit)
{
    uint64_t room = unit - off % unit;

    return end - off < room ? end - off : room;
}

static void
set_states(struct mem_locked *d, uint64_t off, uint64_t len, enum mem_state state)
{
    uint64_t first = off / MEM_BLOCK, last = (off + len - 1) / MEM_BLOCK;

    memset(d->states + first, (int)state, last - first + 1);
}

/* Whole blocks go back to the system; parts of blocks are overwritten and stay data
 * where they were data. */
static void
zero_chunk(struct mem_locked *d, uint64_t off, uint64_t len, enum mem_state state)
{
    uint64_t end = off + len;
    uint64_t first = (off + MEM_BLOCK - 1) / MEM_BLOCK * MEM_BLOCK;
    uint64_t last = end / MEM_BLOCK * MEM_BLOCK;

    if (first >= last || madvise(d->bytes + first, last - first, MADV_DONTNEED) < 0) {
        memset(d->bytes + off, 0, len);
        return;
    }
    memset(d->bytes + off, 0, first - off);
    memset(d->bytes + last, 0, end - last);
    set_states(d, first, last - first, state);
}

static void
change_chunk(struct mem *m, const struct req *rq, uint64_t off, uint64_t len)
{
    struct lk *l = lock_of(m, off);
    char *buf = (char *)rq->buf + (off - rq->off);
    struct mem_locked *d;

    LK_GUARD(l);
    d = mem_locked(m, l);
    if (rq->op == REQ_READ) {
        memcpy(buf, d->bytes + off, len);
    } else if (rq->op == REQ_WRITE) {
        memcpy(d->bytes + off, buf, len);
        set_states(d, off, len, MEM_DATA);
    } else if (rq->op == REQ_TRIM || (rq->flags & REQ_F_MAY_TRIM) != 0) {
        zero_chunk(d, off, len, MEM_HOLE);
    } else {
        zero_chunk(d, off, len, MEM_ZEROED);
    }
}

static enum mem_state
state_at(struct mem *m, uint64_t off)
{
    struct lk *l = lock_of(m, off);

    LK_GUARD(l);
    return (enum mem_state)mem_locked(m, l)->states[off / MEM_BLOCK];
}

static int
add_extent(const struct req *rq, uint64_t off, uint64_t end, enum mem_state state)
{
    static const uint32_t types[] = {[MEM_HOLE] = EXTENT_HOLE | EXTENT_ZERO,
                                     [MEM_DATA] = 0,
                                     [MEM_ZEROED] = EXTENT_ZERO};

    return rq->extents->add(rq->extents, off, end - off, types[state]);
}

static int
mem_extents(struct mem *m, const struct req *rq)
{
    uint64_t start = rq->off, off = rq->off, end = rq->off + rq->len;
    enum mem_state state = state_at(m, off), next;
    int rc;

    for (; off < end; off += part_len(off, end, MEM_BLOCK)) {
        next = state_at(m, off);
        if (next == state) {
            continue;
        }
        rc = add_extent(rq, start, off, state);
        if (rc < 0 || (rq->flags & REQ_F_ONE) != 0) {
            return rc;
        }
        start = off;
        state = next;
    }
    return add_extent(rq, start, end, state);
}

static int
mem_submit(struct port *p, const struct req *rq)
{
    struct mem *m = (struct mem *)p;
    uint64_t off = rq->off, end = rq->off + rq->len, len;

    switch (rq->op) {
    case REQ_FLUSH:
    case REQ_CACHE:
        return 0;
    case REQ_EXTENTS:
        return mem_extents(m, rq);
    case REQ_READ:
    case REQ_WRITE:
    case REQ_TRIM:
    case REQ_ZERO:
        break;
    }
    for (; off < end; off += len) {
        len = part_len(off, end, MEM_CHUNK);
        change_chunk(m, rq, off, len);
    }
    return 0;
}

static void
unmap(void *mapping, size_t len)
{
    if (mapping != MAP_FAILED) {
        (void)munmap(mapping, len); /* fails only for bad arguments */
    }
}

static void
mem_close(struct port *p)
{
    struct mem *m = (struct mem *)p;

    unmap(m->locked_.bytes, m->locked_.nr_bytes);
    unmap(m->locked_.states, m->locked_.nr_bytes / MEM_BLOCK);
    for (int i = 0; i < MEM_NR_LOCKS; i++) {
        lk_done(&m->locks[i]);
    }
    free(m);
}

static const struct port_ops mem_ops = {
    .name = "mem", .submit = mem_submit, .close = mem_close};

static void *
map(size_t len)
{
    return mmap(NULL, len, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

int
port_mem_new(uint64_t size, struct port **ret_port)
{
    uint64_t nr_blocks = size / MEM_BLOCK + (size % MEM_BLOCK != 0 || size == 0);
    struct mem *m = calloc(1, sizeof *m);

    if (m == NULL || nr_blocks > SIZE_MAX / MEM_BLOCK) {
        free(m);
        return -ENOMEM;
    }
    m->port.ops = &mem_ops;
    m->port.info = (struct port_info){
        .size = size,
        .min_block = 1,
        .pref_block = (uint32_t)MEM_BLOCK,
        .max_block = UINT32_MAX,
        .caps = PORT_CAN_WRITE | PORT_CAN_FLUSH | PORT_CAN_FUA | PORT_CAN_TRIM |
                PORT_CAN_ZERO | PORT_CAN_FAST_ZERO | PORT_CAN_EXTENTS | PORT_CAN_CACHE |
                PORT_CAN_MULTI_CONN};
    for (int i = 0; i < MEM_NR_LOCKS; i++) {
        lk_init(&m->locks[i]);
    }
    m->locked_.nr_bytes = nr_blocks * MEM_BLOCK;
    m->locked_.bytes = map(m->locked_.nr_bytes);
    m->locked_.states = map(nr_blocks);
    if (m->locked_.bytes == MAP_FAILED || m->locked_.states == MAP_FAILED) {
        mem_close(&m->port);
        return -ENOMEM;
    }
    *ret_port = &m->port;
    return 0;
}
