/* SPDX-License-Identifier: BSD-3-Clause */
/* A server whose worker reads one request under a lock, as nbdkit's do, and the next
 * one without: what a guard preloaded into it (stack/nbdkit/entry_guard_turn.c) makes
 * of that. usage: LD_PRELOAD=GUARD unlike_nbdkit SOCKET Prints whether the lock is kept
 * after the first request, while the worker waits for the second, and after one that
 * was read under the lock again. */
#include <err.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pair.h"

#define WAIT_S 10

/* A read of 4 KiB at offset 0, as the NBD protocol has it. */
static const unsigned char request[28] = {0x25, 0x60, 0x95, 0x13, [26] = 0x10};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t was_read, may_go_on;
static int server;

static void
read_request(void)
{
    unsigned char buf[sizeof request];

    if (read(server, buf, sizeof buf) != (ssize_t)sizeof buf) {
        errx(1, "a request did not arrive as it was sent");
    }
}

static void
read_locked(void)
{
    (void)pthread_mutex_lock(&lock);
    read_request();
    (void)pthread_mutex_unlock(&lock);
    (void)sem_post(&was_read);
    (void)sem_wait(&may_go_on);
}

static void *
work(void *unused)
{
    (void)unused;
    read_locked();
    read_request();
    read_locked();
    return NULL;
}

static void
send_request(int client)
{
    if (write(client, request, sizeof request) != (ssize_t)sizeof request) {
        err(1, "write");
    }
}

/* Not pthread_mutex_lock(), which the guard has a part in. */
static void
say_if_kept(int seconds)
{
    struct timespec until;
    int rc;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    rc = seconds == 0 ? pthread_mutex_trylock(&lock)
                      : pthread_mutex_timedlock(&lock, &until);
    (void)puts(rc == 0 ? "free" : "kept");
    if (rc == 0) {
        (void)pthread_mutex_unlock(&lock);
    }
}

int
main(int argc, char **argv)
{
    pthread_t worker;
    int client;

    if (argc != 2) {
        errx(2, "usage: unlike_nbdkit SOCKET");
    }
    (void)sem_init(&was_read, 0, 0);
    (void)sem_init(&may_go_on, 0, 0);
    make_pair(argv[1], &client, &server);
    if (pthread_create(&worker, NULL, work, NULL) != 0) {
        errx(1, "no thread");
    }
    send_request(client);
    (void)sem_wait(&was_read);
    say_if_kept(0);
    (void)sem_post(&may_go_on);
    say_if_kept(WAIT_S);
    send_request(client);
    send_request(client);
    (void)sem_wait(&was_read);
    say_if_kept(0);
    (void)sem_post(&may_go_on);
    (void)pthread_join(worker, NULL);
    return 0;
}
