/* SPDX-License-Identifier: BSD-3-Clause */
/* guard_tls.h - the guard's part about connections from other hosts. What is hidden is
 * for the guard; the plugin finds the rest by its name, if it is there. */
#ifndef BATON_GUARD_TLS_H
#define BATON_GUARD_TLS_H

#include <stdbool.h>

struct tls_peer;
struct gnutls_session_int;

#define GUARD_HIDDEN __attribute__((visibility("hidden")))

/* fd was accepted, or is about to be closed. */
GUARD_HIDDEN void guard_tls_accepted(int fd);
GUARD_HIDDEN void guard_tls_closed(int fd);

/* Wait until fd, whose client has not begun to send requests, can be read. False: it
 * has had its time. */
GUARD_HIDDEN bool guard_tls_await(int fd);

/* Before a server's handshake: give the session what is in the files now. */
GUARD_HIDDEN void guard_tls_renew(struct gnutls_session_int *session);

/* Have the certificates in folder, which nbdkit has just loaded, looked at before each
 * handshake of its listener. The plugin finds it by its name. Before connections. */
#define GUARD_TLS_WATCH "baton_guard_tls_watch"
void baton_guard_tls_watch(const char *folder);

/* Who has come by TLS on this thread's connection; NULL: nobody, or without a name. */
#define GUARD_TLS_PEER "baton_guard_tls_peer"
const struct tls_peer *baton_guard_tls_peer(void);

#endif
