/* SPDX-License-Identifier: BSD-3-Clause */
/* nbd_peer.h - which process is at the other end of a unix socket, so that its end can
 * be told from the end of the connection. Internal to port/.
 *
 * SO_PEERCRED names who called listen(), which may be systemd or a parent that is gone.
 * The kernel names the sender with what was sent. Not thread-safe. */
#ifndef BATON_NBD_PEER_H
#define BATON_NBD_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct nbd_peer {
    int pidfd; /* -1: none */
    pid_t pid;
    bool is_asked; /* the kernel names who sends from now on */
    bool is_known; /* pidfd is that of the one who sends everything */
    bool is_over;  /* nobody needs to be named any more */
};

#define NBD_PEER_INIT ((struct nbd_peer){.pidfd = -1})

/* Before anything is received: see who sent it, without taking it. What was sent before
 * the first call may name nobody. Nothing comes of it but on a unix socket. NULL is
 * accepted. */
void nbd_peer_look(struct nbd_peer *p, int fd);

/* Has the process ended, with all of its threads, so with all system calls it was in?
 * p is known. */
bool nbd_peer_has_ended(const struct nbd_peer *p);

void nbd_peer_done(struct nbd_peer *p);

#endif
