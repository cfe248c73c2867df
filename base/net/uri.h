/* SPDX-License-Identifier: BSD-3-Clause */
/* uri.h - where a service listens and where control sockets are: parse, listen,
 * connect. Thread-safe; nothing is shared. */
#ifndef BATON_URI_H
#define BATON_URI_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

enum uri_kind {
    URI_UNIX,  /* unix:PATH, PATH absolute, at most 107 bytes (sockaddr_un) */
    URI_TCP,   /* tcp:HOST:PORT, tcp:[V6]:PORT; see uri_is_local() */
    URI_VSOCK, /* listen: vsock:PORT; connect: vsock:CID:PORT */
    URI_SSH,   /* ssh://[user@]host/PATH: runs "baton proxy PATH" there; control only */
};

#define URI_ANY_CID UINT32_MAX

struct uri {
    enum uri_kind kind;
    char text[512]; /* as given */
    char host[256]; /* tcp, ssh (with user@) */
    char path[256]; /* unix, ssh */
    uint32_t cid;   /* vsock; URI_ANY_CID when listening */
    uint32_t port;  /* tcp, vsock */
};

/* What a URI may be used for. */
enum uri_use {
    URI_FOR_LISTEN,
    URI_FOR_CONTROL_LISTEN,
    URI_FOR_CONTROL,
    URI_FOR_CHANNEL
};

/* 0, or -EINVAL and a sentence that names s and the forms that are allowed for `use`:
 * listen and control listen: unix, tcp with an address, vsock:PORT; control: unix, tcp,
 * ssh, vsock:CID:PORT; channel: unix, tcp, vsock:CID:PORT. */
int uri_parse(const char *s, enum uri_use use, struct err *e, struct uri *ret_uri);

/* Does what is sent stay on this machine, or in another's own protection (ssh)? False
 * for tcp but to loopback addresses: it is for TLS, or for somebody who asks for plain
 * TCP in so many words. */
bool uri_is_local(const struct uri *u);

/* Who may connect to a unix socket: owner, group and mode of its file. */
struct uri_access {
    uid_t owner; /* URI_NOT_GIVEN: the process's, like the group */
    gid_t group;
    unsigned mode;
};
#define URI_NOT_GIVEN ((unsigned)-1)

/* A listening socket, close-on-exec. A stale unix socket (nobody answers) is removed
 * first; a live one is -EADDRINUSE. mode is the unix socket's file mode (e.g. 0600),
 * in force from its first moment. e names the URI and the reason. */
int uri_listen(const struct uri *u, unsigned mode, struct err *e, int *ret_fd);

/* The same with owner and group, which nobody ever sees as others. Only root gives a
 * socket to another owner, or to a group that it is not in itself. */
int uri_listen_for(const struct uri *u, const struct uri_access *access, struct err *e,
                   int *ret_fd);

/* A connected stream socket, close-on-exec. ssh: a socketpair to a child "ssh" whose
 * pid is written to *ret_pid (0 otherwise); the caller reaps it after closing the fd.
 * -ETIMEDOUT at deadline_ns, which does not bound the look-up of a name. */
int uri_connect(const struct uri *u, uint64_t deadline_ns, struct err *e, int *ret_fd,
                int *ret_pid);

#endif
