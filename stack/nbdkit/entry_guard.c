/* SPDX-License-Identifier: BSD-3-Clause */
/* A guard that "baton serve" preloads into nbdkit, because nbdkit before 1.34 ends the
 * whole process (assertion "sock >= 0" in raw_send_socket) when a client hangs up while
 * several replies to it are on their way: the first worker that notices closes the
 * connection's output, and the next one that has a reply trips over it. A killed QEMU
 * would take every other VM's disk with it.
 *
 * Idea: the worker that would make nbdkit close the output learns of the hang-up late,
 * when no other reply of this connection is on its way any more.
 *   send    to a client that is gone succeeds, into nowhere
 *   read    at the start of a request: a hang-up is an orderly end of file, which does
 *           not close the output
 *   read    within a request, or of a request that is none: the error is true, but
 *           returned only when every other request of the connection has been answered
 * Requests are counted when their header has been read, replies by their last send (the
 * one without MSG_MORE). nbdkit lets one worker of a connection read, and one send, at
 * a time; so each counter has one writer. TLS connections do not come through here, and
 * have no such assertion.
 *
 * And since it is there: nbdkit sends a reply in two to four pieces, and a unix socket
 * does not know MSG_MORE, so that each is a system call and wakes the client. Here the
 * small ones wait for the last and go with it. It also reads a request in two pieces or
 * more; a read here takes what else has arrived, for the reads that follow.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bytes.h"
#include "guard_recv.h"
#include "guard_send.h"
#include "guard_tls.h"
#include "guard_turn.h"

/* The NBD protocol's request header (doc/proto.md of the NBD project). */
#define HEADER_LEN 28
#define REQUEST_MAGIC 0x25609513U
#define CMD_READ 0
#define CMD_WRITE 1
#define CMD_DISC 2

#define MAX_FDS 65536 /* higher ones are not guarded */
#define AHEAD_MAX 16384
#define AHEAD_OF_BULK 131072
#define KEEP_MAX 131072 /* longer requests are worth a thread of their own */
#define HEAD_MAX 512    /* of a reply: most have 16 or 28 bytes before the data */
#define LONG 65536      /* a request that is not worth one if it ends here */
#define CROWD 64        /* requests */

struct guarded {
    bool is_open; /* between accept and close: else the number is somebody else's */
    /* Written by the one worker that reads. */
    bool is_transmission; /* the handshake is over */
    unsigned header_have;
    uint64_t body_left;
    bool is_short; /* the request that was read last */
    bool is_bulk;  /* it was a write of more than AHEAD_MAX */
    unsigned char header[HEADER_LEN];
    size_t ahead_pos, ahead_end; /* of what has been read and not asked for yet */
    char ahead[AHEAD_OF_BULK];
    _Atomic uint64_t requests; /* seq_cst, with is_awaited */
    uint64_t crowded_until;    /* of requests: a client that has several under way */

    /* Written by the one worker that sends. */
    bool is_gone;
    unsigned held_back; /* bytes of the reply in `head` that are not sent yet */
    char head[HEAD_MAX];
    _Atomic uint64_t begun;   /* relaxed: replies that the client may have by now */
    _Atomic uint64_t replies; /* seq_cst: counted, then is_awaited looked at */

    _Atomic bool is_awaited; /* seq_cst: set, then replies looked at */
    pthread_mutex_t lock;    /* only so that `answered` can be waited for */
    pthread_cond_t answered;
};

static _Atomic(struct guarded *) table[MAX_FDS]; /* release when made, acquire */

static ssize_t (*real_read)(int, void *, size_t);
static ssize_t (*real_send)(int, const void *, size_t, int);
static int (*real_accept4)(int, struct sockaddr *, socklen_t *, int);
static int (*real_close)(int);

__attribute__((constructor)) static void
find_real(void)
{
    *(void **)&real_read = dlsym(RTLD_NEXT, "read");
    *(void **)&real_send = dlsym(RTLD_NEXT, "send");
    *(void **)&real_accept4 = dlsym(RTLD_NEXT, "accept4");
    *(void **)&real_close = dlsym(RTLD_NEXT, "close");
    if (real_read == NULL || real_send == NULL || real_accept4 == NULL ||
        real_close == NULL) {
        abort(); /* no libc: nothing would work */
    }
}

static struct guarded *
guarded_of(int fd)
{
    return fd >= 0 && fd < MAX_FDS
               ? atomic_load_explicit(&table[fd], memory_order_acquire)
               : NULL;
}

/* nbdkit closes a connection after it has joined its workers. The number may be
 * anything from now on, and is none of our business until it is accepted again. */
int
close(int fd)
{
    struct guarded *g = guarded_of(fd);

    if (g != NULL) {
        baton_guard_may_block(); /* the lock goes with the connection */
        g->is_open = false;
        g->is_transmission = false;
        g->ahead_pos = g->ahead_end = 0;
    }
    guard_tls_closed(fd);
    cork_closed(fd);
    incoming_closed(fd);
    return real_close(fd);
}

/* A new connection. */
int
accept4(int listener, struct sockaddr *addr, socklen_t *len, int flags)
{
    int fd = real_accept4(listener, addr, len, flags);
    struct guarded *g;

    guard_tls_accepted(fd);
    if (fd < 0 || fd >= MAX_FDS) {
        return fd;
    }
    g = guarded_of(fd);
    if (g == NULL) {
        g = calloc(1, sizeof *g);
        if (g == NULL) {
            return fd; /* not guarded: no worse than without us */
        }
        (void)pthread_mutex_init(&g->lock, NULL);
        (void)pthread_cond_init(&g->answered, NULL);
    }
    send_widen(fd);
    g->is_open = true;
    g->is_transmission = g->is_bulk = g->is_gone = false;
    g->header_have = g->held_back = 0;
    g->body_left = g->crowded_until = 0;
    g->ahead_pos = g->ahead_end = 0;
    atomic_store(&g->requests, 0);
    atomic_store(&g->begun, 0);
    atomic_store(&g->replies, 0);
    atomic_store(&g->is_awaited, false);
    atomic_store_explicit(&table[fd], g, memory_order_release);
    return fd;
}

/* Wait until every request but the last `own` ones has been answered. As long as a
 * request may take: nbdkit waits for its workers too before it ends a connection. */
static void
await_replies(struct guarded *g, uint64_t own)
{
    int saved = errno;

    (void)pthread_mutex_lock(&g->lock);
    atomic_store(&g->is_awaited, true);
    while (atomic_load(&g->replies) + own < atomic_load(&g->requests)) {
        (void)pthread_cond_wait(&g->answered, &g->lock);
    }
    (void)pthread_mutex_unlock(&g->lock);
    errno = saved;
}

/* A request more, and is its client one that has several under way? Either one is not
 * answered yet, or another is there already, behind the body_left bytes of this one. */
static void
count_request(struct guarded *g)
{
    uint64_t nr = atomic_fetch_add(&g->requests, 1) + 1;

    if (nr > atomic_load_explicit(&g->begun, memory_order_relaxed) + 1 ||
        g->ahead_end - g->ahead_pos > g->body_left) {
        g->crowded_until = nr + CROWD;
    }
}

static void
end_of_header(struct guarded *g, int fd)
{
    unsigned cmd = (unsigned)g->header[6] << 8 | g->header[7];
    uint32_t len = bytes_get_be32(g->header + 24);

    g->header_have = 0;
    if (bytes_get_be32(g->header) != REQUEST_MAGIC) {
        await_replies(g, 0); /* nbdkit gives the connection up now */
        return;
    }
    g->body_left = cmd == CMD_WRITE ? len : 0;
    if (cmd != CMD_DISC) {
        count_request(g);
    }
    g->is_short = len <= KEEP_MAX;
    g->is_bulk = cmd == CMD_WRITE && len > AHEAD_MAX;
    if (cmd == CMD_READ && g->is_short) {
        turn_keep(fd);
    }
}

/* The first header ends the handshake. (One that arrives in pieces is missed: the
 * connection goes unguarded until the next.) nbdkit reads it with the read lock held,
 * unlike the options of the handshake, which may hold the same bytes. */
static void
look_for_first_header(struct guarded *g, int fd, const void *buf, size_t len, ssize_t r)
{
    if (len == HEADER_LEN && r == HEADER_LEN && bytes_get_be32(buf) == REQUEST_MAGIC &&
        turn_holds_a_lock()) {
        g->is_transmission = true;
        memcpy(g->header, buf, HEADER_LEN);
        end_of_header(g, fd);
    }
}

static ssize_t
after_header_read(struct guarded *g, int fd, const void *buf, ssize_t r)
{
    if (r <= 0 && g->header_have == 0) {
        return 0;
    }
    if (r <= 0) {
        await_replies(g, 0);
        return r;
    }
    if ((size_t)r > HEADER_LEN - g->header_have) {
        g->is_transmission = false; /* not what we took it for: hands off */
        return r;
    }
    memcpy(g->header + g->header_have, buf, (size_t)r);
    g->header_have += (unsigned)r;
    if (g->header_have == HEADER_LEN) {
        end_of_header(g, fd);
    }
    return r;
}

/* How much to read ahead. The data of a long write are best read where they belong,
 * without a copy. But a client's unix socket only lets it go on when nearly all that it
 * has sent was read; so what follows the data is read as well, and the client sends
 * while they are being written. */
static size_t
ahead_of(const struct guarded *g)
{
    if (!g->is_bulk) {
        return AHEAD_MAX;
    }
    return g->body_left > 0 ? AHEAD_OF_BULK : 0;
}

/* What was read ahead, or what arrives, up to len bytes. */
static ssize_t
take(struct guarded *g, int fd, void *buf, size_t len)
{
    struct iovec iov[2] = {{buf, len}, {g->ahead, ahead_of(g)}};
    size_t have = g->ahead_end - g->ahead_pos;
    ssize_t n;

    if (have > 0) {
        len = len < have ? len : have;
        memcpy(buf, g->ahead + g->ahead_pos, len);
        g->ahead_pos += len;
        return (ssize_t)len;
    }
    turn_check_before_wait();
    n = readv(fd, iov, 2);
    if (n <= 0 || (size_t)n <= len) {
        return n;
    }
    g->ahead_pos = 0;
    g->ahead_end = (size_t)n - len;
    return (ssize_t)len;
}

ssize_t
read(int fd, void *buf, size_t len)
{
    struct guarded *g = guarded_of(fd);
    ssize_t r;

    if (g != NULL && !g->is_transmission && !guard_tls_await(fd)) {
        return 0; /* as if it had hung up */
    }

    /* Before the first request nbdkit may be about to let TLS read. */
    r = g == NULL || (!g->is_transmission && g->ahead_pos == g->ahead_end)
            ? real_read(fd, buf, len)
            : take(g, fd, buf, len);
    if (g == NULL || (r < 0 && (errno == EINTR || errno == EAGAIN))) {
        return r;
    }
    if (!g->is_transmission) {
        look_for_first_header(g, fd, buf, len, r);
        return r;
    }
    if (g->body_left == 0) {
        return after_header_read(g, fd, buf, r);
    }
    if (r <= 0) {
        await_replies(g, 1); /* all but the request whose body this is */
        return r;
    }
    g->body_left -= (uint64_t)r < g->body_left ? (uint64_t)r : g->body_left;
    if (g->body_left == 0 && g->is_short) {
        turn_keep(fd);
    }
    return r;
}

/* See base/may_block.h. A worker whose client has more to say lets another one read it
 * now: what was read ahead shows on no descriptor. */
int
baton_guard_kept_fd(void)
{
    int fd = turn_is_kept() ? turn_fd() : -1;
    const struct guarded *g = guarded_of(fd);

    if (g != NULL &&
        (g->ahead_pos < g->ahead_end || atomic_load(&g->requests) < g->crowded_until)) {
        baton_guard_may_block();
        return -1;
    }
    return g != NULL ? fd : -1;
}

/* See base/may_block.h; entry_guard_turn.c says why. */
void
baton_guard_ends_here(size_t len)
{
    const struct guarded *g = guarded_of(turn_is_kept() ? turn_fd() : -1);

    if (g != NULL && (len > LONG || atomic_load(&g->requests) >= g->crowded_until)) {
        baton_guard_may_block();
    }
}

static void
count_reply(struct guarded *g)
{
    atomic_fetch_add(&g->replies, 1);
    if (atomic_load(&g->is_awaited)) {
        (void)pthread_mutex_lock(&g->lock);
        (void)pthread_cond_broadcast(&g->answered);
        (void)pthread_mutex_unlock(&g->lock);
    }
}

ssize_t
send(int fd, const void *buf, size_t len, int flags)
{
    struct guarded *g = guarded_of(fd);

    if (g == NULL || !g->is_open) {
        return cork_send(fd, buf, len, flags);
    }
    if (!g->is_transmission) {
        return real_send(fd, buf, len, flags);
    }
    if ((flags & MSG_MORE) != 0 && len <= HEAD_MAX - g->held_back) {
        memcpy(g->head + g->held_back, buf, len);
        g->held_back += (unsigned)len;
        return (ssize_t)len;
    }
    if ((flags & MSG_MORE) == 0) {
        atomic_fetch_add_explicit(&g->begun, 1, memory_order_relaxed);
    }
    if (!g->is_gone && !send_both(fd, g->head, g->held_back, buf, len, flags)) {
        g->is_gone = true;
    }
    g->held_back = 0;
    if ((flags & MSG_MORE) == 0) {
        count_reply(g);
    }
    return (ssize_t)len;
}
