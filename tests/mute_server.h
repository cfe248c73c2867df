/* SPDX-License-Identifier: BSD-3-Clause */
/* mute_server.h - a server that says through a pipe that a read has arrived, and does
 * not answer it. Writes are taken and forgotten. */
#ifndef BATON_MUTE_SERVER_H
#define BATON_MUTE_SERVER_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nbdkit_server.h"

struct mute_server {
    char started[80], hang[80]; /* pipes */
    int started_fd, hang_fd;
};

/* Only the pipes, for another script. */
static inline void
mute_server_pipes(struct mute_server *m, struct nbdkit_server *s)
{
    snprintf(m->started, sizeof m->started, "%s/started", s->dir);
    snprintf(m->hang, sizeof m->hang, "%s/hang", s->dir);
    if (mkfifo(m->started, 0600) < 0 || mkfifo(m->hang, 0600) < 0) {
        abort();
    }
    m->started_fd = open(m->started, O_RDWR | O_CLOEXEC);
    m->hang_fd = open(m->hang, O_RDWR | O_CLOEXEC);
}

static inline void
mute_server_init(struct mute_server *m, struct nbdkit_server *s)
{
    nbdkit_server_init(s);
    mute_server_pipes(m, s);
}

static inline void
mute_server_start(struct mute_server *m, struct nbdkit_server *s)
{
    char pread[256];
    const char *const args[] = {"eval",
                                "thread_model=echo parallel",
                                "get_size=echo 4194304",
                                "can_write=exit 0",
                                "can_flush=exit 0",
                                "pwrite=cat > /dev/null",
                                pread,
                                NULL};

    mute_server_init(m, s);
    snprintf(pread, sizeof pread, "pread=printf r > %s; cat %s > /dev/null; exit 1",
             m->started, m->hang);
    nbdkit_server_start(s, args);
}

/* Wait until this many reads have arrived since the last call. */
static inline void
mute_server_wait(const struct mute_server *m, int nr_reads)
{
    char c;

    while (nr_reads-- > 0) {
        if (read(m->started_fd, &c, 1) != 1) {
            abort();
        }
    }
}

static inline void
mute_server_done(struct mute_server *m)
{
    /* Gone first: a script that comes late must not wait for our end of a pipe. */
    unlink(m->started);
    unlink(m->hang);
    close(m->started_fd);
    close(m->hang_fd); /* the scripts end */
}

#endif
