/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening sockets.
 *
 * The mode of a unix socket. umask() is of the whole process, so it is not touched.
 * Linux makes the socket's file with the mode of the socket itself less the umask, so
 * fchmod() of the socket before bind() makes it narrow from its first moment; chmod()
 * after bind() gives back what the umask took. Nobody can connect before listen().
 * One that is for another owner or group is nobody's but ours until it is theirs.
 *
 * A stale socket. A socket that is bound but not yet listening refuses connections just
 * as a dead one does. Two services that start at once could so remove each other's
 * socket; hence looking, removing, binding and listening happen under a flock() of the
 * folder, which leaves nothing behind. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "uri.h"
#include "uri_address.h"

#define LOCK_TIMEOUT_NS (5 * NS_PER_S)
#define LOCK_RETRY_NS (1 * NS_PER_MS)
#define LISTEN_BACKLOG 128

/* flock() knows no deadline and the other side holds it for microseconds: ask again. */
static int
lock_folder(const char *path, int *ret_fd)
{
    const struct timespec pause = clock_to_timespec(LOCK_RETRY_NS);
    uint64_t deadline_ns = clock_deadline_ns(LOCK_TIMEOUT_NS);
    char folder[sizeof((struct uri *)NULL)->path];
    AUTO_FD int fd = -1;

    (void)snprintf(folder, sizeof folder, "%s", path); /* same size */
    strrchr(folder, '/')[1] = '\0';
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return -errno;
        }
        if (clock_now_ns() >= deadline_ns) {
            return -EBUSY;
        }
        (void)nanosleep(&pause, NULL); /* cut short by a signal is fine */
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* 0: the name is free now. */
static int
remove_stale(const struct uri *u, const struct sockaddr_storage *addr, socklen_t len)
{
    AUTO_FD int fd = -1;
    struct stat st;

    if (lstat(u->path, &st) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return -EEXIST;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, (const struct sockaddr *)addr, len) == 0 || errno == EAGAIN ||
        errno == EPROTOTYPE) {
        return -EADDRINUSE; /* EAGAIN: alive, but its queue is full */
    }
    if (errno != ECONNREFUSED) {
        return -errno;
    }
    return unlink(u->path) < 0 ? -errno : 0;
}

/* The file, which nobody but us can use yet, for those that it is for. */
static int
give_access(const char *path, const struct uri_access *a)
{
    if ((a->owner != URI_NOT_GIVEN || a->group != URI_NOT_GIVEN) &&
        lchown(path, a->owner, a->group) < 0) {
        return -errno;
    }
    return chmod(path, (mode_t)a->mode) < 0 ? -errno : 0;
}

static int
bind_unix(int fd, const struct uri *u, const struct uri_access *a,
          const struct sockaddr_storage *addr, socklen_t len)
{
    AUTO_FD int folder_fd = -1;
    int rc = lock_folder(u->path, &folder_fd);

    if (rc == 0) {
        rc = remove_stale(u, addr, len);
    }
    if (rc < 0) {
        return rc;
    }
    if (fchmod(fd, (mode_t)a->mode & S_IRWXU) < 0 ||
        bind(fd, (const struct sockaddr *)addr, len) < 0) {
        return -errno;
    }
    rc = give_access(u->path, a);
    if (rc == 0 && listen(fd, LISTEN_BACKLOG) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        (void)unlink(u->path); /* the first error is the one to tell */
    }
    return rc;
}

static int
bind_net(int fd, const struct uri *u, const struct sockaddr_storage *addr,
         socklen_t len)
{
    int on = 1;

    if (u->kind == URI_TCP &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) {
        return -errno;
    }
    if (bind(fd, (const struct sockaddr *)addr, len) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0) {
        return -errno;
    }
    return 0;
}

static int
explain(const struct uri *u, int rc, struct err *e)
{
    switch (rc) {
    case -EEXIST:
        return err_set(
            e, rc, "cannot listen on %s: the file exists and is not a socket", u->text);
    case -EADDRINUSE:
        return err_set(e, rc, "cannot listen on %s: another program listens there",
                       u->text);
    case -EBUSY:
        return err_set(e, rc,
                       "cannot listen on %s: another process keeps its folder locked",
                       u->text);
    case -EPERM:
        return err_set(
            e, rc,
            "cannot listen on %s: this user may not give the socket that owner or "
            "group; root may, and a member of the group may give the socket that group",
            u->text);
    default:
        return err_set(e, rc, "cannot listen on %s: %s", u->text, err_text(NULL, rc));
    }
}

int
uri_listen(const struct uri *u, unsigned mode, struct err *e, int *ret_fd)
{
    const struct uri_access access = {URI_NOT_GIVEN, URI_NOT_GIVEN, mode};

    return uri_listen_for(u, &access, e, ret_fd);
}

int
uri_listen_for(const struct uri *u, const struct uri_access *access, struct err *e,
               int *ret_fd)
{
    struct sockaddr_storage addr;
    AUTO_FD int fd = -1;
    socklen_t len;
    int rc;

    assert(u->kind != URI_SSH); /* uri_parse() refuses to listen on it */
    len = uri_address(u, &addr);
    fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return explain(u, -errno, e);
    }
    rc = u->kind == URI_UNIX ? bind_unix(fd, u, access, &addr, len)
                             : bind_net(fd, u, &addr, len);
    if (rc < 0) {
        return explain(u, rc, e);
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}
