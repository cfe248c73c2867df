/* SPDX-License-Identifier: BSD-3-Clause */
/* The guard's part about what a server answers on the connections that libnbd has made:
 * channels and NBD devices. libnbd receives the answer to a read in four pieces, each
 * by a system call, and asks poll(2) before the first of them.
 *
 * Idea: here a piece is received together with what else has arrived, for the pieces
 * and answers that follow. What was received ahead shows on no descriptor, so this is
 * only for connections whose user asks for it (base/read_ahead.h), and with no TLS.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "guard_recv.h"
#include "read_ahead.h"

#define MAX_FDS 65536 /* higher ones are received from as libnbd does */
#define AHEAD_MAX 16384
#define AHEAD_OF_LONG 64 /* data are best received where they belong */

struct incoming {
    bool is_on;
    bool is_long; /* the answer that is being received, as far as it was seen */
    size_t pos, end;
    char ahead[AHEAD_MAX];
};

/* Kept for the next connection with this number. One thread at a time for each. */
static _Atomic(struct incoming *) table[MAX_FDS]; /* release when made, acquire */

static ssize_t (*real_recv)(int, void *, size_t, int);

__attribute__((constructor)) static void
find_real(void)
{
    *(void **)&real_recv = dlsym(RTLD_NEXT, "recv");
    if (real_recv == NULL) {
        abort(); /* no libc: nothing would work */
    }
}

static struct incoming *
incoming_of(int fd)
{
    struct incoming *in = fd >= 0 && fd < MAX_FDS
                              ? atomic_load_explicit(&table[fd], memory_order_acquire)
                              : NULL;

    return in != NULL && in->is_on ? in : NULL;
}

void
baton_guard_read_ahead(int fd)
{
    struct incoming *in;

    if (fd < 0 || fd >= MAX_FDS) {
        return;
    }
    in = atomic_load_explicit(&table[fd], memory_order_acquire);
    if (in == NULL) {
        in = calloc(1, sizeof *in);
        if (in == NULL) {
            return; /* no slower than without us */
        }
    }
    in->is_on = true;
    in->is_long = false;
    in->pos = in->end = 0;
    atomic_store_explicit(&table[fd], in, memory_order_release);
}

bool
baton_guard_has_ahead(int fd)
{
    const struct incoming *in = incoming_of(fd);

    return in != NULL && in->pos < in->end;
}

void
incoming_closed(int fd)
{
    struct incoming *in = incoming_of(fd);

    if (in != NULL) {
        in->is_on = false;
        in->pos = in->end = 0;
    }
}

ssize_t
recv(int fd, void *buf, size_t len, int flags)
{
    struct incoming *in = incoming_of(fd);
    struct iovec iov[2] = {{buf, len}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    size_t have;
    ssize_t n;

    if (in == NULL || (flags & ~MSG_DONTWAIT) != 0) {
        return real_recv(fd, buf, len, flags);
    }
    have = in->end - in->pos;
    if (len > AHEAD_MAX) {
        in->is_long = true;
    } else if (len > AHEAD_OF_LONG) {
        in->is_long = false;
    }
    if (have > 0) {
        len = len < have ? len : have;
        memcpy(buf, in->ahead + in->pos, len);
        in->pos += len;
        return (ssize_t)len;
    }
    iov[1].iov_base = in->ahead;
    iov[1].iov_len = in->is_long ? AHEAD_OF_LONG : AHEAD_MAX;
    n = recvmsg(fd, &msg, flags);
    if (n <= 0 || (size_t)n <= len) {
        return n;
    }
    in->pos = 0;
    in->end = (size_t)n - len;
    return (ssize_t)len;
}
