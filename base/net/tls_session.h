/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_session.h - what tls.c, which carries bytes, gets from tls_session.c, which loads
 * files and shakes hands; nobody else includes it. */
#ifndef BATON_TLS_SESSION_H
#define BATON_TLS_SESSION_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "tls_settings.h"

struct tls_session {
    gnutls_session_t session;
    gnutls_certificate_credentials_t certificates;
    gnutls_psk_server_credentials_t psk_server;
    gnutls_psk_client_credentials_t psk_client;
    /* What the other side's certificate has to be good for: gnutls keeps the address.
     */
    gnutls_typed_vdata_st wanted[2];
    char host[256];
};

/* host NULL: we are the server. On failure s is as after tls_session_done(). */
int tls_session_init(struct tls_session *s, const struct tls_settings *t,
                     const char *host, struct err *e);
void tls_session_done(struct tls_session *s);

/* fd does not block. Errors as of tls_accept(). */
int tls_session_handshake(struct tls_session *s, int fd, uint64_t deadline_ns,
                          struct err *e);

#endif
