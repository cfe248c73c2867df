/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_proxy.c - baton proxy PATH, which an ssh:// URI runs on the other host.
 *
 * Each direction is copied by a thread of its own, so that neither waits for the other.
 * When one direction ends, the other side sees a half-close; the process ends when the
 * socket is closed in both directions. Standard input and output stay blocking, because
 * other processes may share them. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli.h"
#include "cli_options.h"
#include "clock.h"
#include "uri.h"

#define PROXY_BUFFER (64U * 1024)
#define REACH_NS (10 * NS_PER_S)

/* Copy until from ends. 0, or -errno of what failed. */
static int
copy(int from, int to)
{
    char buf[PROXY_BUFFER];

    for (;;) {
        ssize_t have = read(from, buf, sizeof buf), sent = 0;

        if (have < 0 && errno == EINTR) {
            continue;
        }
        if (have <= 0) {
            return have < 0 ? -errno : 0;
        }
        while (sent < have) {
            ssize_t n = write(to, buf + sent, (size_t)(have - sent));

            if (n < 0 && errno != EINTR) {
                return -errno;
            }
            sent += n > 0 ? n : 0;
        }
    }
}

static void *
copy_input(void *opaque)
{
    const int *fd = opaque;

    (void)copy(STDIN_FILENO, *fd); /* returns when either end is gone */
    (void)shutdown(*fd, SHUT_WR);  /* fails only when the socket is closed already */
    return NULL;
}

static int
join(int fd)
{
    struct pollfd p = {.fd = fd, .events = 0}; /* wakes when both ways are closed */
    pthread_t input;
    int rc = pthread_create(&input, NULL, copy_input, &fd);

    if (rc != 0) {
        return cli_fail(CLI_REFUSED, "proxy", "cannot start a thread: %s",
                        err_text(NULL, -rc));
    }
    rc = copy(fd, STDOUT_FILENO);
    if (rc < 0) {
        _exit(CLI_REFUSED); /* not exit(): the thread may be in read() for ever */
    }
    (void)close(STDOUT_FILENO); /* passes on that this direction has ended */
    while (poll(&p, 1, clock_poll_ms(CLOCK_NEVER)) < 0 && errno == EINTR) {
    }
    _exit(CLI_DONE); /* as above; nothing is buffered */
}

int
cmd_proxy(int argc, char **argv)
{
    static const struct cli_usage usage = {"proxy", "usage: baton proxy PATH\n", NULL,
                                           0};
    static const struct cli_option options[] = {{0}};
    AUTO_FD int fd = -1;
    struct err e = {{0}};
    char text[512];
    struct uri u;
    int status, pid, rc;

    if (!cli_take_options(argc, argv, &usage, options, &status)) {
        return status;
    }
    if (argc - optind != 1) {
        return cli_fail(CLI_USAGE, "proxy",
                        "one PATH is needed; usage: baton proxy PATH");
    }
    (void)snprintf(text, sizeof text, "unix:%s", argv[optind]);
    if (uri_parse(text, URI_FOR_CONTROL, &e, &u) < 0) {
        return cli_fail(CLI_USAGE, "proxy", "%s", e.msg);
    }
    rc = uri_connect(&u, clock_deadline_ns(REACH_NS), &e, &fd, &pid);
    if (rc < 0) {
        return cli_fail(CLI_REFUSED, "proxy",
                        "cannot reach the service at %s: %s; is it running?", u.text,
                        err_text(NULL, rc));
    }
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for SIGPIPE */
    return join(fd);
}
