/* SPDX-License-Identifier: BSD-3-Clause */
/* Connected sockets. A unix socket whose queue is full makes connect() wait, and that
 * wait cannot be polled, but SO_SNDTIMEO bounds it; the others connect non-blocking. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "uri.h"
#include "uri_address.h"

static int
set_send_timeout(int fd, uint64_t ns)
{
    struct timeval tv = {.tv_sec = (time_t)(ns / NS_PER_S),
                         .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};

    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) < 0 ? -errno : 0;
}

static int
connect_unix(int fd, const struct sockaddr *addr, socklen_t len, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = clock_now_ns(), left_ns = 0; /* 0: without limit */
        int rc;

        if (deadline_ns != CLOCK_NEVER) {
            if (now + NS_PER_US > deadline_ns) {
                return -ETIMEDOUT;
            }
            left_ns = deadline_ns - now;
        }
        rc = set_send_timeout(fd, left_ns);
        if (rc < 0) {
            return rc;
        }
        if (connect(fd, addr, len) == 0) {
            return set_send_timeout(fd, 0);
        }
        if (errno != EINTR && errno != EAGAIN) {
            return -errno;
        }
    }
}

static int
wait_connected(int fd, uint64_t deadline_ns)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    socklen_t size = sizeof(int);
    int n, error = 0;

    do {
        n = poll(&p, 1, clock_poll_ms(deadline_ns));
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    if (n == 0) {
        return -ETIMEDOUT;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        return -errno;
    }
    return -error;
}

static int
connect_net(int fd, const struct sockaddr *addr, socklen_t len, uint64_t deadline_ns)
{
    int rc, on = 1, flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return -errno;
    }
    if (connect(fd, addr, len) < 0) {
        if (errno != EINPROGRESS) {
            return -errno;
        }
        rc = wait_connected(fd, deadline_ns);
        if (rc < 0) {
            return rc;
        }
    }
    if (fcntl(fd, F_SETFL, flags) < 0) {
        return -errno;
    }
    if (addr->sa_family != AF_VSOCK &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) {
        return -errno;
    }
    return 0;
}

/* ssh's standard input and output become peer_fd; its standard error stays ours, so
 * that its own words reach the person who asked. Services block signals and ignore
 * SIGPIPE: ssh must not inherit that. BatchMode: a service has nobody to ask for a
 * password. */
static int
spawn_ssh(const struct uri *u, int peer_fd, int *ret_pid)
{
    char *const argv[] = {(char *)"ssh",   (char *)"-T",
                          (char *)"-o",    (char *)"BatchMode=yes",
                          (char *)"--",    (char *)u->host,
                          (char *)"baton", (char *)"proxy",
                          (char *)u->path, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, defaults;
    pid_t pid = 0;
    int rc;

    rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) {
        return -rc;
    }
    rc = posix_spawnattr_init(&attr);
    if (rc != 0) {
        goto done_actions;
    }
    (void)sigemptyset(&none); /* cannot fail, nor can the next three */
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &defaults);
    rc =
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(&actions, peer_fd, STDIN_FILENO);
    }
    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(&actions, peer_fd, STDOUT_FILENO);
    }
    if (rc == 0) {
        rc = posix_spawnp(&pid, "ssh", &actions, &attr, argv, environ);
    }
    if (rc == 0) {
        *ret_pid = pid;
    }
    (void)posix_spawnattr_destroy(&attr); /* frees memory only */
done_actions:
    (void)posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

static int
connect_ssh(const struct uri *u, struct err *e, int *ret_fd, int *ret_pid)
{
    AUTO_FD int peer_fd = -1;
    int fds[2], rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        rc = -errno;
        return err_set(e, rc, "cannot make sockets for ssh: %s", err_text(NULL, rc));
    }
    peer_fd = fds[1];
    rc = spawn_ssh(u, peer_fd, ret_pid);
    if (rc < 0) {
        (void)close(fds[0]); /* nothing was sent on it */
        return err_set(e, rc, "cannot start ssh for %s: %s", u->text,
                       err_text(NULL, rc));
    }
    *ret_fd = fds[0];
    return 0;
}

static int
connect_address(const struct sockaddr *addr, socklen_t len, uint64_t deadline_ns,
                int *ret_fd)
{
    AUTO_FD int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc;

    if (fd < 0) {
        return -errno;
    }
    rc = addr->sa_family == AF_UNIX ? connect_unix(fd, addr, len, deadline_ns)
                                    : connect_net(fd, addr, len, deadline_ns);
    if (rc == 0) {
        *ret_fd = TAKE_FD(fd);
    }
    return rc;
}

/* The first of the name's addresses that answers. */
static int
connect_name(const struct uri *u, uint64_t deadline_ns, struct err *e, int *ret_fd)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list, *a;
    char port[16];
    int rc;

    (void)snprintf(port, sizeof port, "%u", (unsigned)u->port);
    rc = getaddrinfo(u->host, port, &hints, &list);
    if (rc != 0) {
        return err_set(e, -EHOSTUNREACH, "cannot connect to %s: %s", u->text,
                       gai_strerror(rc));
    }
    rc = -EHOSTUNREACH;
    for (a = list; a != NULL && rc < 0 && rc != -ETIMEDOUT; a = a->ai_next) {
        rc = connect_address(a->ai_addr, a->ai_addrlen, deadline_ns, ret_fd);
    }
    freeaddrinfo(list);
    return rc < 0
               ? err_set(e, rc, "cannot connect to %s: %s", u->text, err_text(NULL, rc))
               : 0;
}

int
uri_connect(const struct uri *u, uint64_t deadline_ns, struct err *e, int *ret_fd,
            int *ret_pid)
{
    struct sockaddr_storage addr;
    socklen_t len;
    int rc;

    if (u->kind == URI_SSH) {
        return connect_ssh(u, e, ret_fd, ret_pid);
    }
    *ret_pid = 0;
    if (uri_is_host_name(u)) {
        return connect_name(u, deadline_ns, e, ret_fd);
    }
    len = uri_address(u, &addr);
    rc = connect_address((const struct sockaddr *)&addr, len, deadline_ns, ret_fd);
    return rc < 0
               ? err_set(e, rc, "cannot connect to %s: %s", u->text, err_text(NULL, rc))
               : 0;
}
