/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_peer.h - who is at the other end of a TLS connection: the names in its
 * certificate (common names and DNS names), or its user name of a pre-shared key. Used
 * for control connections, and by the guard for nbdkit's. Also who is at the other end
 * of vsock. */
#ifndef BATON_TLS_PEER_H
#define BATON_TLS_PEER_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_NAME_MAX 255
#define TLS_MAX_NAMES 16

struct tls_peer {
    bool is_user; /* of a pre-shared key, or vsock; else of a certificate */
    unsigned nr;
    char names[TLS_MAX_NAMES][TLS_NAME_MAX + 1]; /* printable */
};

struct gnutls_session_int; /* gnutls_session_t is a pointer to it */

/* Read the names after a handshake that has verified the other side. A name that is not
 * plain printable text, or too long, is left out: it could pass for another. */
void tls_peer_read(struct gnutls_session_int *session, struct tls_peer *ret_peer);

/* Who is at the other end of a vsock connection has one name, "vsock:CID", which it
 * cannot choose. */
void tls_peer_set_cid(struct tls_peer *peer, unsigned cid);

/* Is one of its names in `allowed`, a list with commas? Users by the letter, names of
 * certificates whatever their case. */
bool tls_peer_is_in(const struct tls_peer *peer, const char *allowed);

/* All names, with commas, or "a peer without a name". Cut when it does not fit.
 * Returns buf. */
const char *tls_peer_text(const struct tls_peer *peer, char *buf, size_t size);

#endif
