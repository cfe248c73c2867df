/* SPDX-License-Identifier: BSD-3-Clause */
/* A server that reads each request under a lock, as nbdkit does, and whose client has
 * sent two long writes at once: what a guard preloaded into it
 * (stack/nbdkit/entry_guard.c) makes of that. usage: LD_PRELOAD=GUARD guarded_writes
 * SOCKET Prints, after the first has been read, whether the socket still holds the
 * second, so that the client has to wait with its third; and whether both are what was
 * sent. */
#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pair.h"

#define HEADER 28
#define LEN                                                                            \
    65536 /* two fit into the socket; it is more than the guard takes for short */
#define NR_WRITES 2

/* A write of LEN at offset 0, as the NBD protocol has it. */
static const unsigned char write_header[HEADER] = {0x25, 0x60,    0x95,
                                                   0x13, [7] = 1, [25] = 1};
static unsigned char sent[NR_WRITES][HEADER + LEN], got[HEADER + LEN];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void
read_fully(int fd, unsigned char *buf, size_t len)
{
    ssize_t n;

    for (size_t done = 0; done < len; done += (size_t)n) {
        n = read(fd, buf + done, len - done);
        if (n <= 0) {
            errx(1, "a request did not arrive as it was sent");
        }
    }
}

static void
read_write(int server)
{
    (void)pthread_mutex_lock(&lock);
    read_fully(server, got, HEADER);
    read_fully(server, got + HEADER, LEN);
    (void)pthread_mutex_unlock(&lock);
}

int
main(int argc, char **argv)
{
    int client, server, left = 0, differ = 0;

    if (argc != 2) {
        errx(2, "usage: guarded_writes SOCKET");
    }
    for (int i = 0; i < NR_WRITES; i++) {
        memcpy(sent[i], write_header, HEADER);
        for (unsigned k = HEADER; k < sizeof sent[i]; k++) {
            sent[i][k] = (unsigned char)(k * 31 + k / 256 + (unsigned)i);
        }
    }
    make_pair(argv[1], &client, &server);
    if (write(client, sent, sizeof sent) != (ssize_t)sizeof sent) {
        err(1, "write");
    }
    for (int i = 0; i < NR_WRITES; i++) {
        read_write(server);
        if (i == 0 && ioctl(server, FIONREAD, &left) < 0) {
            err(1, "FIONREAD");
        }
        differ += memcmp(sent[i], got, sizeof got) != 0;
    }
    (void)printf("%s %s\n", left > 0 ? "full" : "empty",
                 differ == 0 ? "same" : "different");
    return 0;
}
