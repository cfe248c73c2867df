/* SPDX-License-Identifier: BSD-3-Clause */
/* Receives from a socket that may be read ahead of (base/read_ahead.h).
 * usage: LD_PRELOAD=GUARD received_ahead
 * Prints after each step what is there: "ahead" what was received already, "socket"
 * what poll shows, "nothing" neither. */
#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../base/read_ahead.h"

static char sent[100000], got[sizeof sent];

static void
say_what_is_there(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    (void)puts(has_read_ahead(fd)   ? "ahead"
               : poll(&p, 1, 0) > 0 ? "socket"
                                    : "nothing");
}

static void
send_bytes(int fd, size_t len)
{
    if (write(fd, sent, len) != (ssize_t)len) {
        err(1, "write");
    }
}

/* As libnbd does: in as many calls as it takes. */
static void
receive(int fd, size_t from, size_t len)
{
    ssize_t n;

    for (size_t done = 0; done < len; done += (size_t)n) {
        n = recv(fd, got + from + done, len - done, MSG_DONTWAIT);
        if (n <= 0) {
            err(1, "recv: %zd after %zu of %zu", n, done, len);
        }
    }
}

static void
make_pair(int fd[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0) {
        err(1, "socketpair");
    }
}

int
main(void)
{
    int fd[2], next[2];

    for (size_t i = 0; i < sizeof sent; i++) {
        sent[i] = (char)(i * 31 + i / 256);
    }
    make_pair(fd);
    read_ahead(fd[0]);
    send_bytes(fd[1], 1000);
    say_what_is_there(fd[0]); /* socket: nobody has received */
    receive(fd[0], 0, 16);
    say_what_is_there(fd[0]); /* ahead, with the guard */
    receive(fd[0], 16, 984);
    say_what_is_there(fd[0]); /* nothing */
    if (memcmp(sent, got, 1000) != 0) {
        errx(1, "a short answer is not what was sent");
    }
    send_bytes(fd[1], sizeof sent);
    receive(fd[0], 0, 16);
    receive(fd[0], 16, sizeof sent - 16);
    say_what_is_there(fd[0]); /* nothing */
    if (memcmp(sent, got, sizeof sent) != 0) {
        errx(1, "a long answer is not what was sent");
    }
    send_bytes(fd[1], 1000);
    receive(fd[0], 0, 16);
    (void)close(fd[0]);
    make_pair(next); /* the first number that is free: the same one */
    if (next[0] != fd[0]) {
        errx(1, "another descriptor than expected");
    }
    say_what_is_there(next[0]); /* nothing of its predecessor */
    send_bytes(next[1], 1000);
    receive(next[0], 0, 16);
    say_what_is_there(next[0]); /* socket: this one is not to be read ahead of */
    return 0;
}
