/* SPDX-License-Identifier: BSD-3-Clause */
/* While nobody has the other end of a port open, poll() on the port returns at once
 * with "hung up", every time, and read() returns an end of file. So the port is left
 * out of poll() then. SIGIO, which the driver sends on every change, makes us look
 * again; and once a second the port is opened anew, because its device may be another
 * one by now.
 */
#include "serial_line.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "log.h"

#define FIRST_BACKOFF_NS (10 * NS_PER_MS)
#define MAX_BACKOFF_NS (1 * NS_PER_S)
#define LOOK_AGAIN_NS (1 * NS_PER_S)
#define CONNECT_NS (1 * NS_PER_S)

int
serial_line_init(struct serial_line *l, const char *port, struct err *e)
{
    sigset_t io;
    int rc = 0;

    *l = (struct serial_line){.fd = -1, .backoff_ns = FIRST_BACKOFF_NS};
    l->is_socket = port[0] != '/';
    if (l->is_socket) {
        rc = uri_parse(port, URI_FOR_CHANNEL, e, &l->uri);
        if (rc == 0 && l->uri.kind != URI_UNIX) {
            rc = err_set(e, -EINVAL, "%s: allowed: unix:PATH or the path of a device",
                         port);
        }
    } else if (snprintf(l->uri.text, sizeof l->uri.text, "%s", port) >=
               (int)sizeof l->uri.text) {
        rc = err_set(e, -EINVAL, "the path of the device is too long");
    }
    if (rc < 0) {
        return rc;
    }
    (void)sigemptyset(&io); /* cannot fail, nor can the next two */
    (void)sigaddset(&io, SIGIO);
    (void)pthread_sigmask(SIG_BLOCK, &io, NULL);
    l->signal_fd = signalfd(-1, &io, SFD_CLOEXEC | SFD_NONBLOCK);
    return l->signal_fd < 0 ? err_set(e, -errno, "cannot make a signalfd") : 0;
}

static void
close_line(struct serial_line *l)
{
    if (l->fd >= 0) {
        (void)close(l->fd); /* bytes on their way are lost in any case */
    }
    l->fd = -1;
    l->has_nobody = false;
}

void
serial_line_done(struct serial_line *l)
{
    close_line(l);
    (void)close(l->signal_fd); /* stores nothing, so cannot fail */
}

/* If the device is a terminal, it must not change any byte. */
static int
open_device(const char *path, int *ret_fd)
{
    AUTO_FD int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct termios t;

    if (fd < 0) {
        return -errno;
    }
    if (isatty(fd) && tcgetattr(fd, &t) == 0) {
        cfmakeraw(&t);
        if (tcsetattr(fd, TCSANOW, &t) < 0) {
            return -errno;
        }
    }
    if (fcntl(fd, F_SETOWN, getpid()) < 0) {
        return -errno;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int
open_socket(const struct uri *u, int *ret_fd)
{
    struct err e = {.msg = ""};
    AUTO_FD int fd = -1;
    int pid, rc = uri_connect(u, clock_deadline_ns(CONNECT_NS), &e, &fd, &pid);

    if (rc < 0) {
        return rc;
    }
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        return -errno;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static void
try_later(struct serial_line *l)
{
    close_line(l);
    l->next_try_ns = clock_deadline_ns(l->backoff_ns);
    l->backoff_ns = clock_earlier(2 * l->backoff_ns, MAX_BACKOFF_NS);
}

static void
open_line(struct serial_line *l, struct wire *w)
{
    int rc =
        l->is_socket ? open_socket(&l->uri, &l->fd) : open_device(l->uri.text, &l->fd);

    if (rc < 0) {
        if (rc != l->why) {
            log_warn("cannot open %s: %s; trying again", l->uri.text,
                     err_text(NULL, rc));
        }
        l->why = rc;
        try_later(l);
        return;
    }
    l->why = 0;
    wire_start(w, l->is_socket);
}

static bool
is_hung_up(int fd)
{
    struct pollfd p = {.fd = fd, .events = 0};

    return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* SIGIO is wanted only while nobody is there, since data would cause it, too. */
static void
want_signals(const struct serial_line *l, bool wants)
{
    /* If it fails, the timer still makes us look. */
    (void)fcntl(l->fd, F_SETFL, O_NONBLOCK | (wants ? O_ASYNC : 0));
}

static void
lose(struct serial_line *l, struct wire *w)
{
    wire_hang_up(w);
    if (l->is_socket) {
        try_later(l);
        return;
    }
    l->has_nobody = true;
    l->next_try_ns = clock_deadline_ns(LOOK_AGAIN_NS);
    want_signals(l, true);
}

/* Open the line if it is time to, and see if somebody has come. */
static void
look(struct serial_line *l, struct wire *w)
{
    if (l->has_nobody && !is_hung_up(l->fd)) {
        l->has_nobody = false;
        want_signals(l, false);
    } else if (l->has_nobody && clock_now_ns() >= l->next_try_ns) {
        close_line(l);
    }
    if (l->fd < 0 && clock_now_ns() >= l->next_try_ns) {
        open_line(l, w);
    }
}

uint64_t
serial_line_prepare(struct serial_line *l, struct wire *w, struct pollfd *fds)
{
    size_t waiting;
    bool is_live;

    look(l, w);
    is_live = l->fd >= 0 && !l->has_nobody;
    (void)wire_out(w, &waiting);
    fds[0] = (struct pollfd){.fd = is_live ? l->fd : -1};
    fds[0].events =
        (short)((wire_may_read(w) ? POLLIN : 0) | (waiting > 0 ? POLLOUT : 0));
    fds[1] = (struct pollfd){.fd = l->signal_fd, .events = POLLIN};
    return is_live ? CLOCK_NEVER : l->next_try_ns;
}

static int
receive(const struct serial_line *l, struct wire *w)
{
    size_t len;
    void *p = wire_in_space(w, &len);
    ssize_t n = read(l->fd, p, len);

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    wire_in_added(w, (size_t)n);
    return n > 0 ? 1 : -EPIPE;
}

static int
transmit(const struct serial_line *l, struct wire *w)
{
    size_t len;
    const void *p = wire_out(w, &len);
    ssize_t n = len > 0 ? write(l->fd, p, len) : 0;

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    wire_out_sent(w, (size_t)n);
    return 0;
}

void
serial_line_serve(struct serial_line *l, struct wire *w, const struct pollfd *fds)
{
    struct signalfd_siginfo ignored;
    int rc = 0;

    while (fds[1].revents != 0 && read(l->signal_fd, &ignored, sizeof ignored) > 0) {
    }
    if (fds[0].revents == 0 || fds[0].fd != l->fd) {
        return;
    }
    if ((fds[0].revents & POLLOUT) != 0) {
        rc = transmit(l, w);
    }
    /* Also after a hang-up: what was sent before it may be a complete frame. */
    if (rc == 0 && (fds[0].revents & ~POLLOUT) != 0 && wire_may_read(w)) {
        rc = receive(l, w);
    }
    if (rc > 0) {
        l->backoff_ns = FIRST_BACKOFF_NS; /* somebody is there */
    }
    if (rc < 0 || (rc == 0 && (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)) {
        lose(l, w);
    }
}
