/* SPDX-License-Identifier: BSD-3-Clause */
/* iogap FILE: for how long did nobody read or write FILE? Prints, for each line on
 * standard input, the longest time in microseconds between two accesses since the line
 * before, or 0 when there were not two. Ends with standard input.
 *
 * It sees what the kernel tells of a file (inotify), so it is the same for every
 * server, and on a host with several of them it sees all. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

static uint64_t
now_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Take all that is there. false: the end of the file or an error. */
static bool
drain(int fd, unsigned *ret_lines)
{
    char buf[4096];
    ssize_t n = read(fd, buf, sizeof buf);

    *ret_lines = 0;
    for (ssize_t i = 0; i < n; i++) {
        *ret_lines += buf[i] == '\n';
    }
    return n > 0;
}

static int
watch(int fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                            {.fd = STDIN_FILENO, .events = POLLIN}};
    uint64_t last_us = 0, longest_us = 0;
    unsigned lines;

    for (;;) {
        if (poll(fds, 2, -1) < 0) { /* there are no signals to be woken by */
            return 1;
        }
        if (fds[0].revents != 0) {
            uint64_t at_us = now_us();

            if (last_us != 0 && at_us - last_us > longest_us) {
                longest_us = at_us - last_us;
            }
            last_us = at_us;
            if (!drain(fd, &lines)) {
                return 1;
            }
        }
        if (fds[1].revents != 0) {
            if (!drain(STDIN_FILENO, &lines)) {
                return 0;
            }
            for (; lines > 0; lines--) {
                (void)printf("%" PRIu64 "\n", longest_us);
                longest_us = 0;
            }
            (void)fflush(stdout);
        }
    }
}

int
main(int argc, char **argv)
{
    int fd = inotify_init1(IN_CLOEXEC);

    if (argc != 2) {
        (void)fprintf(stderr, "usage: iogap FILE\n");
        return 2;
    }
    if (fd < 0 || inotify_add_watch(fd, argv[1], IN_ACCESS | IN_MODIFY) < 0) {
        (void)fprintf(stderr, "iogap: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    return watch(fd);
}
