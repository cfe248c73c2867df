/* SPDX-License-Identifier: BSD-3-Clause */
/* port.h - one place where a disk's requests can end up: a file, an NBD server, the
 * channel to another service, memory, a fault injector, or a redirector or layer in
 * front of another port. Call the checked port_*() functions; ops are port.c's.
 * Functions of a request alone are req_*.
 *
 * Methods may block, run on any thread and at the same time, return 0 or -errno, and do
 * not log. Buffers stay the caller's, valid until return. All lengths are bytes. */
#ifndef BATON_PORT_H
#define BATON_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

enum req_op {
    REQ_READ,    /* fill buf */
    REQ_WRITE,   /* write buf */
    REQ_FLUSH,   /* make durable every write acknowledged before; off = len = 0 */
    REQ_TRIM,    /* the range is no longer needed; what it reads as is undefined */
    REQ_ZERO,    /* the range reads as zeroes afterwards */
    REQ_CACHE,   /* a hint: the range will be read soon */
    REQ_EXTENTS, /* report what the range consists of */
};
#define REQ_NR_OPS 7

/* Flags of a request. */
#define REQ_F_FUA (1U << 0)      /* write, zero, trim: durable before the reply */
#define REQ_F_MAY_TRIM (1U << 1) /* zero: may make a hole */
#define REQ_F_FAST (1U << 2)     /* zero: -ENOTSUP unless faster than writing */
#define REQ_F_ONE (1U << 3)      /* extents: the first one is enough */
/* read: from the medium, past every cache of this host that can be passed */
#define REQ_F_UNCACHED (1U << 4)

/* What an extent is; 0 is allocated data. The values are NBD's base:allocation. */
#define EXTENT_HOLE (1U << 0)
#define EXTENT_ZERO (1U << 1)

/* Takes the extents of one request, in ascending order, contiguous, the first one
 * starting at or before the request's offset, until they cover the range or (with
 * REQ_F_ONE) after the first. add returns 0, or -errno which ends the request. */
struct extent_sink {
    int (*add)(struct extent_sink *s, uint64_t off, uint64_t len, uint32_t type);
};

#define REQ_OF_OURS 0 /* requester: the service itself */

struct req {
    enum req_op op;
    uint32_t flags; /* REQ_F_* */
    uint32_t len;   /* > 0 but for flush; off + len <= size */
    uint64_t off;
    void *buf;                   /* read: to fill; write: to write, never modified */
    struct extent_sink *extents; /* extents only */
    const void *origin;          /* NULL: a VM; else a channel session, only compared */
    uint64_t requester;          /* whose it is: req_new_requester(), or REQ_OF_OURS */
    uint64_t vm;           /* whose connection that is; 0: no VM's of this service */
    uint64_t deadline_ns;  /* 0: none; from then on no server is waited for */
    uint64_t *ret_arrival; /* NULL, or takes its place among those given back */
};

/* What a port can do natively; port_submit() makes up for all but REQ_WRITE. */
#define PORT_CAN_WRITE (1U << 0)
#define PORT_CAN_FLUSH (1U << 1)
#define PORT_CAN_FUA (1U << 2)
#define PORT_CAN_TRIM (1U << 3)
#define PORT_CAN_ZERO (1U << 4)
#define PORT_CAN_FAST_ZERO (1U << 5)
#define PORT_CAN_EXTENTS (1U << 6)
#define PORT_CAN_CACHE (1U << 7)
#define PORT_CAN_MULTI_CONN (1U << 8) /* a flush on one connection covers all */
#define PORT_ROTATIONAL (1U << 9)
struct port_info {       /* fixed for the life of a port */
    uint64_t size;       /* bytes; may be any number, also 0 */
    uint32_t min_block;  /* power of two, 1..65536: offsets and lengths are multiples;
                          * the tail of an odd-sized device needs min_block 1 */
    uint32_t pref_block; /* power of two, 512..32 MiB, >= min_block */
    uint32_t max_block;  /* a read or write is not longer; multiple of min_block or
                          * UINT32_MAX; at least 32 MiB for every port of ours */
    uint32_t caps;       /* PORT_* */
};

struct port;

struct port_ops {
    const char *name;    /* [a-z0-9-]+, static storage */
    bool says_may_block; /* submit does, as in base/may_block.h; else port_submit() */

    /* Perform rq. The wrapper has checked range, alignment and capabilities. After an
     * error of a write, zero or trim the range may hold old data, new data or a mix,
     * with one exception: -ESTALE says that the port serves nobody any more and that rq
     * has to be sent elsewhere: it was not performed (or, by a channel, sent to an
     * owner that never answered: port_channel.h) and will not be. */
    int (*submit)(struct port *p, const struct req *rq);
    /* Optional; NULL means nobody can be excluded and nothing is cached. Become the one
     * who may touch the device: take its lock, then forget everything that this host
     * cached of it before. -EBUSY: somebody else holds it, e names who.
     * On failure nothing changed. */
    int (*own)(struct port *p, struct err *e);
    /* Optional, with own. Let the lock go. No request is in flight. Cannot fail. */
    void (*disown)(struct port *p);
    /* Optional; NULL means nothing is known. Write to id what the system knows of the
     * device's identity: "file:<major>:<minor>:<inode>@<boot id>", "wwn:...",
     * "serial:..." (both with "/<n>" for partition n), else "bdev:<major>:<minor>@<boot
     * id>". Two different texts of one kind ("file:" of one boot id, "wwn:", "serial:")
     * are two devices, not so "bdev:". Returns the length, 0: nothing is known. */
    int (*identify)(struct port *p, char *id, int id_size);
    /* Optional. How many bytes has the device now? It may have grown. 0: not known. */
    uint64_t (*size_now)(struct port *p);
    /* Optional. What was acknowledged is lost: every flush fails with rc from now on.
     */
    void (*note_lost)(struct port *p, int rc);
    /* Release p and what it owns, including its lock. The caller has already stopped
     * every other call. Cannot fail. */
    void (*close)(struct port *p);
};

struct port { /* first member of every implementation */
    const struct port_ops *ops;
    struct port_info info;
};

bool req_is_change(const struct req *rq); /* a write, trim or zero */
/* One range, and one of them changes it. */
bool req_conflicts(const struct req *a, const struct req *b);
const char *req_op_name(enum req_op op);

/* The one check of input that comes from outside. 0; -EINVAL: unknown flag for the
 * operation, misaligned, longer than max_block, or out of range; -EPERM: a change of
 * a port that cannot write; -ENOSPC: a write or zero past the end. */
int port_check(const struct port_info *info, const struct req *rq);

/* Perform rq; it has passed port_check() (asserted). What p cannot do natively:
 * FUA is followed by a flush; flush of a port that cannot flush is 0 (nothing is
 * volatile or it cannot be helped; can_flush tells the client); zero is written as
 * zeroes (-ENOTSUP with REQ_F_FAST); trim and cache are 0 (they are hints); extents are
 * one run of data. Returns 0 or -errno; -ESTALE as in the table, but -EIO once a part
 * was performed: a port that gives requests back (the redirector) can FUA and zero
 * itself. */
int port_submit(struct port *p, const struct req *rq);
/* A number for a new connection of a VM, or a new session: higher than any before, so
 * that nobody is taken for another. */
uint64_t req_new_requester(void);
uint64_t req_newest_requester(void);

int port_own(struct port *p, struct err *e);
void port_disown(struct port *p);
int port_identify(struct port *p, char *id, int id_size);
uint64_t port_size_now(struct port *p);
void port_note_lost(struct port *p, int rc);
void port_close(struct port *p); /* NULL is accepted */

/* May a disk that was opened with what `had` says go on over `next`? 0, or -EINVAL and
 * e says what is missing: a smaller size (what is beyond is left alone), a coarser
 * min_block, a smaller max_block, no writing or no flush where there was. Missing hints
 * and speed-ups are no reason. */
int port_info_can_replace(const struct port_info *had, const struct port_info *next,
                          struct err *e);

#endif
