/* SPDX-License-Identifier: BSD-3-Clause */
/* The guard's part about connections from other hosts, preloaded into nbdkit with the
 * rest of it (entry_guard.c). nbdkit has no way to ask who has connected by TLS, waits
 * for ever for a client that says nothing, and logs little of why a handshake failed.
 * It does the handshake and opens the plugin on one and the same thread, a new one for
 * each connection: so gnutls_handshake() passes through here, and what it has verified
 * is kept for the plugin to ask.
 *
 * Our own TLS (control connections, and libnbd's as a client) passes through here too.
 * The former is known by its session pointer, the latter is on no accepted socket.
 *
 * The guard is not linked with gnutls: it is preloaded into programs that have nothing
 * to do with it (scripts of nbdkit's plugins), and nbdkit brings it along. */
#include <dlfcn.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "guard_tls.h"
#include "tls_peer.h"

#define MAX_FDS 65536
#define HANDSHAKE_MS 10000
#define NOT_VERIFIED ((unsigned)-1) /* gnutls: it has not come to that */

/* When the TCP connection of this number was accepted, in ms of the monotonic clock; 0:
 * no such connection. Relaxed: set before the thread of the connection starts. */
static _Atomic uint64_t accepted_ms[MAX_FDS];

/* Of this thread's connection. */
static __thread struct tls_peer peer;
static __thread char peer_address[64];

static int (*real_handshake)(gnutls_session_t);

/* NULL in a process that never calls it. */
__attribute__((constructor)) static void
find_real(void)
{
    *(void **)&real_handshake = dlsym(RTLD_NEXT, "gnutls_handshake");
}

static uint64_t
now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t
accepted_at(int fd)
{
    return fd >= 0 && fd < MAX_FDS
               ? atomic_load_explicit(&accepted_ms[fd], memory_order_relaxed)
               : 0;
}

void
guard_tls_accepted(int fd)
{
    struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof addr;

    if (fd >= 0 && fd < MAX_FDS &&
        getsockname(fd, (struct sockaddr *)&addr, &len) == 0 &&
        (addr.ss_family == AF_INET || addr.ss_family == AF_INET6)) {
        atomic_store_explicit(&accepted_ms[fd], now_ms(), memory_order_relaxed);
    }
}

void
guard_tls_closed(int fd)
{
    if (fd >= 0 && fd < MAX_FDS) {
        atomic_store_explicit(&accepted_ms[fd], 0, memory_order_relaxed);
    }
}

/* While it is there: the socket of one that has gone does not tell any more. */
static void
look_who_comes(int fd)
{
    struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof addr;

    if (peer_address[0] == '\0' &&
        (getpeername(fd, (struct sockaddr *)&addr, &len) < 0 ||
         getnameinfo((const struct sockaddr *)&addr, len, peer_address,
                     sizeof peer_address, NULL, 0, NI_NUMERICHOST) != 0)) {
        (void)snprintf(peer_address, sizeof peer_address, "a client");
    }
}

static void
say(const char *what)
{
    char line[sizeof peer_address + 600];
    int n = snprintf(line, sizeof line, "baton: refused a connection from %s: %.500s\n",
                     peer_address, what);

    if (write(STDERR_FILENO, line, (size_t)n) < 0) {
        return; /* a log that is full is no reason to do anything else */
    }
}

bool
guard_tls_await(int fd)
{
    uint64_t since = accepted_at(fd), now = now_ms();
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;

    if (since == 0) {
        return true;
    }
    look_who_comes(fd);
    do {
        n = now < since + HANDSHAKE_MS ? poll(&p, 1, (int)(since + HANDSHAKE_MS - now))
                                       : 0;
        now = now_ms();
    } while (n < 0 && errno == EINTR);
    if (n == 0) {
        say("the client did not finish its handshake in time");
    }
    return n != 0;
}

const struct tls_peer *
baton_guard_tls_peer(void)
{
    return peer.nr > 0 ? &peer : NULL;
}

static void
say_why(gnutls_session_t session, int rc)
{
    gnutls_datum_t text = {.data = NULL};
    unsigned status = gnutls_session_get_verify_cert_status(session);
    char line[500];

    if (status != 0 && status != NOT_VERIFIED &&
        gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text,
                                                     0) >= 0) {
        (void)snprintf(line, sizeof line, "TLS: the client's certificate: %s",
                       text.data);
        free(text.data); /* gnutls_free is data, which would need gnutls at load time */
    } else if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        (void)snprintf(line, sizeof line, "TLS: the client refuses us: %s",
                       gnutls_alert_get_name(gnutls_alert_get(session)));
    } else if (rc == GNUTLS_E_CERTIFICATE_ERROR ||
               rc == GNUTLS_E_NO_CERTIFICATE_FOUND) {
        (void)snprintf(line, sizeof line,
                       "TLS: the client has no certificate of our authority");
    } else {
        (void)snprintf(line, sizeof line, "TLS handshake: %s", gnutls_strerror(rc));
    }
    say(line);
}

int
gnutls_handshake(gnutls_session_t session)
{
    int fd = gnutls_transport_get_int(session), rc;

    if (gnutls_session_get_ptr(session) != NULL || accepted_at(fd) == 0) {
        return real_handshake(session);
    }
    peer.nr = 0;
    gnutls_handshake_set_timeout(session, HANDSHAKE_MS);
    guard_tls_renew(session);
    rc = real_handshake(session);
    if (rc == 0 && (gnutls_auth_get_type(session) == GNUTLS_CRD_PSK ||
                    gnutls_session_get_verify_cert_status(session) == 0)) {
        tls_peer_read(session, &peer);
    } else if (rc < 0 && gnutls_error_is_fatal(rc) != 0) {
        say_why(session, rc);
    }
    return rc;
}
