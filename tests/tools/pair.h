/* SPDX-License-Identifier: BSD-3-Clause */
/* pair.h - both ends of a connection by a listening socket, as a server has it: a guard
 * that is preloaded looks for accept4(2). Ends the process when there is none. */
#ifndef BATON_PAIR_H
#define BATON_PAIR_H

#include <err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static inline void
make_pair(const char *path, int *ret_client, int *ret_server)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    if (bind(listener, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(listener, 1) < 0 ||
        connect(client, (struct sockaddr *)&addr, sizeof addr) < 0) {
        err(1, "%s", path);
    }
    *ret_client = client;
    *ret_server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (*ret_server < 0) {
        err(1, "accept4");
    }
}

#endif
