/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_proxy.c - baton proxy PATH: what ssh:// URIs run on the other host.
 *
 * Two copies, one of them on a thread of its own, so that neither direction waits for
 * the other. The end of one direction is passed on as a half-close; the process ends
 * when the socket is closed in both. Standard input and output may be shared with
 * others, so they stay blocking. */
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

    (void)copy(STDIN_FILENO, *fd); /* either end is gone: pass that on */
    (void)shutdown(*fd, SHUT_WR);  /* fails only when the socket is closed already */
    return NULL;
}

static int
join(int fd)
{
    struct pollfd p = {.fd = fd, .events = 0}; /* POLLHUP: closed both ways */
    pthread_t input;
    int rc = pthread_create(&input, NULL, copy_input, &fd);

    if (rc != 0) {
        return cli_fail(CLI_REFUSED, "proxy", "cannot start a thread: %s",
                        err_text(NULL, -rc));
    }
    rc = copy(fd, STDOUT_FILENO);
    if (rc < 0) {
        _exit(CLI_REFUSED); /* nobody reads any more; the thread may sit in read() */
    }
    (void)close(STDOUT_FILENO); /* the end of this direction */
    while (poll(&p, 1, clock_poll_ms(CLOCK_NEVER)) < 0 && errno == EINTR) {
    }
    _exit(CLI_DONE); /* for the same reason; nothing is buffered */
}

int
cmd_proxy(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    AUTO_FD int fd = -1;
    struct err e = {{0}};
    char text[512];
    struct uri u;
    int val, pid, rc;

    while ((val = cli_next_option(argc, argv, options)) != -1) {
        if (val == 'h') {
            (void)printf("usage: baton proxy PATH\n");
        }
        return val == 'h' ? CLI_DONE : CLI_USAGE;
    }
    if (argc - optind != 1) {
        return cli_fail(CLI_USAGE, "proxy",
                        "one PATH is needed; usage: baton proxy "
                        "PATH");
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
