/* SPDX-License-Identifier: BSD-3-Clause */
#include "nbd_peer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool
is_unix(int fd)
{
    int domain = -1;
    socklen_t len = sizeof domain;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
           domain == AF_UNIX;
}

/* If not, it was still there when its number was looked up. */
static bool
has_hung_up(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) != 0; /* 0: does not wait */
}

/* Whose is the next byte? 0: the kernel does not say. */
static pid_t
sender(int fd)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof control.space};
    struct ucred cred = {.pid = 0};

    if (recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT) <= 0) {
        return 0;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&cred, CMSG_DATA(c), sizeof cred);
        }
    }
    return cred.pid;
}

void
nbd_peer_look(struct nbd_peer *p, int fd)
{
    const int on = 1, off = 0;
    pid_t pid;

    if (p == NULL || (p->is_over && !p->is_asked)) {
        return;
    }
    if (p->is_over) { /* it costs a little with each message */
        (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof off);
        p->is_asked = false;
        return;
    }
    if (!p->is_asked) {
        p->is_asked =
            is_unix(fd) && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0;
    }
    pid = p->is_asked ? sender(fd) : 0;
    if (pid <= 0) { /* also: a process of another pid namespace */
        return;
    }
    if (p->pidfd < 0) {
        p->pid = pid;
        p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        p->is_known = p->pidfd >= 0 && !has_hung_up(fd);
    } else if (pid != p->pid) {
        p->is_known = false; /* several: none of them can stand for all */
    }
}

bool
nbd_peer_has_ended(const struct nbd_peer *p)
{
    struct pollfd fd = {.fd = p->pidfd, .events = POLLIN};

    return poll(&fd, 1, 0) > 0; /* 0: does not wait */
}

void
nbd_peer_done(struct nbd_peer *p)
{
    if (p->pidfd >= 0) {
        (void)close(p->pidfd); /* nothing was written */
    }
    *p = NBD_PEER_INIT;
}
