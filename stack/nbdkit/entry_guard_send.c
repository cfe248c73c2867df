/* SPDX-License-Identifier: BSD-3-Clause */
/* The guard's part about sending on unix sockets, and most of it about the connections
 * that libnbd has made: channels and NBD devices. libnbd sends a write in two pieces,
 * the request and its data, and says of the first that more follows (MSG_MORE). TCP
 * waits for it; a unix socket does not know the flag, and wakes a server that finds 28
 * bytes, and then waits for the rest.
 *
 * Idea: here the small piece waits for the next one and goes with it, as under TCP, in
 * one system call. libnbd sends the next piece in the same call in which it has sent
 * the first; it only stops where the socket is full, and goes on when there is room.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "guard_send.h"
#include "guard_turn.h"

#define MAX_FDS 65536           /* higher ones are sent as they come */
#define HEAD_MAX 512            /* a request has 28 bytes; several may be waiting */
#define SEND_BUFFER (512 << 10) /* the kernel's, of a unix socket */

struct corked {
    size_t held; /* bytes in `head` that libnbd believes sent */
    char head[HEAD_MAX];
};

/* The first to send makes it; it is kept for the next connection with this number. */
static _Atomic(struct corked *) corks[MAX_FDS]; /* release when made, acquire */
static struct corked needs_none;                /* stands for a TCP connection */

static ssize_t (*real_send)(int, const void *, size_t, int);

__attribute__((constructor)) static void
find_real(void)
{
    *(void **)&real_send = dlsym(RTLD_NEXT, "send");
    if (real_send == NULL) {
        abort(); /* no libc: nothing would work */
    }
}

/* On a unix socket only this bounds what is on its way to the client; by default that
 * is one reply of 128 KiB, and the worker with the next one sleeps. More than the limit
 * of the system when we may, else up to it. A matter of speed only. */
void
send_widen(int fd)
{
    int domain = 0, size = SEND_BUFFER;
    socklen_t len = sizeof domain;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
        domain == AF_UNIX &&
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
}

bool
send_both(int fd, const void *head, size_t head_len, const void *buf, size_t len,
          int flags)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)head, head_len},
                           {(void *)(uintptr_t)buf, len}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    size_t left = head_len + len;
    ssize_t n;

    while (left > 0) {
        n = sendmsg(fd, &msg,
                    flags | MSG_NOSIGNAL | (turn_is_kept() ? MSG_DONTWAIT : 0));
        if (n < 0 && errno == EAGAIN) {
            baton_guard_may_block();
        }
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return false;
        }
        left -= n > 0 ? (size_t)n : 0;
        for (; n > 0 && (size_t)n >= msg.msg_iov->iov_len && left > 0; msg.msg_iov++) {
            n -= (ssize_t)msg.msg_iov->iov_len;
            msg.msg_iovlen--;
        }
        if (n > 0 && left > 0) {
            msg.msg_iov->iov_base = (char *)msg.msg_iov->iov_base + n;
            msg.msg_iov->iov_len -= (size_t)n;
        }
    }
    return true;
}

static bool
is_of_a_network(int fd)
{
    int domain = AF_UNSPEC;
    socklen_t len = sizeof domain;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
           domain == AF_INET || domain == AF_INET6;
}

/* NULL: fd is sent to as it comes. */
static struct corked *
corked_of(int fd, int flags)
{
    struct corked *c;

    if (fd < 0 || fd >= MAX_FDS) {
        return NULL;
    }
    c = atomic_load_explicit(&corks[fd], memory_order_acquire);
    if (c == NULL && (flags & MSG_MORE) != 0) {
        c = is_of_a_network(fd) ? &needs_none : calloc(1, sizeof *c);
        atomic_store_explicit(&corks[fd], c, memory_order_release);
    }
    return c == &needs_none ? NULL : c;
}

/* What is held, then buf. How much of buf was sent, at least a byte; or -1. */
static ssize_t
send_with_held(struct corked *c, int fd, const void *buf, size_t len, int flags)
{
    struct iovec iov[2] = {{c->head, c->held}, {(void *)(uintptr_t)buf, len}};
    const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t n = sendmsg(fd, &msg, flags);
    size_t sent = n > 0 ? (size_t)n : 0;

    if (n < 0) {
        return -1;
    }
    if (sent <= c->held) {
        memmove(c->head, c->head + sent, c->held - sent);
        c->held -= sent;
        errno = EAGAIN; /* of buf nothing: the socket is full */
        return -1;
    }
    sent -= c->held;
    c->held = 0;
    return (ssize_t)sent;
}

ssize_t
cork_send(int fd, const void *buf, size_t len, int flags)
{
    struct corked *c = corked_of(fd, flags);

    if (c == NULL) {
        return real_send(fd, buf, len, flags);
    }
    if ((flags & MSG_MORE) != 0 && len <= HEAD_MAX - c->held) {
        memcpy(c->head + c->held, buf, len);
        c->held += len;
        return (ssize_t)len;
    }
    return c->held == 0 ? real_send(fd, buf, len, flags)
                        : send_with_held(c, fd, buf, len, flags);
}

void
cork_closed(int fd)
{
    struct corked *c = fd >= 0 && fd < MAX_FDS
                           ? atomic_load_explicit(&corks[fd], memory_order_acquire)
                           : NULL;

    if (c == &needs_none) {
        atomic_store_explicit(&corks[fd], NULL, memory_order_release);
    } else if (c != NULL) {
        c->held = 0;
    }
}
