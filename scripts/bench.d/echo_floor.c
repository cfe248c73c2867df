/* SPDX-License-Identifier: BSD-3-Clause */
/* The floor of any server on a unix socket: a client keeps DEPTH messages of REQUEST
 * bytes on their way, a server answers each with REPLY bytes and does nothing else.
 * usage: echo_floor REQUEST REPLY DEPTH MILLISECONDS SERVER-CPU CLIENT-CPU
 * Prints exchanges per second. A CPU of -1 means any. */
#define _GNU_SOURCE
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void
pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (cpu >= 0) {
        CPU_SET(cpu, &set);
        if (sched_setaffinity(0, sizeof set, &set) < 0) {
            err(1, "sched_setaffinity");
        }
    }
}

/* Exactly len bytes; 0 at the end of the stream. */
static int
receive(int fd, char *buf, size_t len)
{
    size_t have = 0;

    while (have < len) {
        ssize_t n = recv(fd, buf + have, len - have, 0);

        if (n <= 0) {
            return 0;
        }
        have += (size_t)n;
    }
    return 1;
}

static int
transmit(int fd, const char *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = send(fd, buf + done, len - done, MSG_NOSIGNAL);

        if (n <= 0) {
            return 0;
        }
        done += (size_t)n;
    }
    return 1;
}

static double
now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
    size_t request, reply;
    int depth, pair[2];
    double start, seconds;
    uint64_t nr = 0;
    pid_t server;
    char *buf;

    if (argc != 7) {
        errx(2, "usage: REQUEST REPLY DEPTH MILLISECONDS SERVER-CPU CLIENT-CPU");
    }
    request = strtoul(argv[1], NULL, 10);
    reply = strtoul(argv[2], NULL, 10);
    depth = atoi(argv[3]);
    seconds = atof(argv[4]) / 1000;
    buf = calloc(1, request > reply ? request : reply);
    if (buf == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        err(1, "socketpair");
    }
    server = fork();
    if (server == 0) {
        pin(atoi(argv[5]));
        (void)close(pair[0]);
        while (receive(pair[1], buf, request) && transmit(pair[1], buf, reply)) {
        }
        return 0;
    }
    pin(atoi(argv[6]));
    (void)close(pair[1]);
    for (int i = 0; i < depth; i++) {
        (void)transmit(pair[0], buf, request);
    }
    start = now();
    while (now() - start < seconds && receive(pair[0], buf, reply) &&
           transmit(pair[0], buf, request)) {
        nr++;
    }
    printf("%.0f\n", (double)nr / (now() - start));
    (void)kill(server, SIGKILL);
    return 0;
}
