/* SPDX-License-Identifier: BSD-3-Clause */
#include "tls_peer.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

/* A comma would make two names of one in a list. */
static bool
is_plain(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];

        if (c < 0x20 || c == 0x7f || c == ',') { /* a zero byte, too */
            return false;
        }
    }
    return len > 0 && len <= TLS_NAME_MAX;
}

static void
add_name(struct tls_peer *p, const char *name, size_t len)
{
    if (p->nr < TLS_MAX_NAMES && is_plain(name, len)) {
        memcpy(p->names[p->nr], name, len);
        p->names[p->nr++][len] = '\0';
    }
}

static void
read_common_names(gnutls_x509_crt_t cert, struct tls_peer *p)
{
    char buf[TLS_NAME_MAX + 1];

    for (unsigned i = 0; i < TLS_MAX_NAMES; i++) {
        size_t len = sizeof buf;
        int rc = gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, i, 0,
                                               buf, &len);

        if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            return;
        }
        if (rc >= 0) {
            add_name(p, buf, len);
        }
    }
}

static void
read_dns_names(gnutls_x509_crt_t cert, struct tls_peer *p)
{
    char buf[TLS_NAME_MAX + 1];

    for (unsigned i = 0; i < 4 * TLS_MAX_NAMES; i++) {
        size_t len = sizeof buf;
        int type = gnutls_x509_crt_get_subject_alt_name(cert, i, buf, &len, NULL);

        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            return;
        }
        if (type == GNUTLS_SAN_DNSNAME) {
            add_name(p, buf, len);
        }
    }
}

static void
read_certificate(gnutls_session_t session, struct tls_peer *p)
{
    unsigned nr = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &nr);
    gnutls_x509_crt_t cert;

    if (chain == NULL || nr == 0 ||
        gnutls_certificate_type_get(session) != GNUTLS_CRT_X509 ||
        gnutls_x509_crt_init(&cert) < 0) {
        return;
    }
    if (gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER) >= 0) {
        read_common_names(cert, p);
        read_dns_names(cert, p);
    }
    gnutls_x509_crt_deinit(cert);
}

void
tls_peer_read(struct gnutls_session_int *session, struct tls_peer *ret_peer)
{
    const char *user;

    *ret_peer = (struct tls_peer){.nr = 0};
    switch (gnutls_auth_get_type(session)) { /* its other kinds are none of ours */
    case GNUTLS_CRD_PSK:
        ret_peer->is_user = true;
        user = gnutls_psk_server_get_username(session);
        if (user != NULL) {
            add_name(ret_peer, user, strlen(user));
        }
        break;
    case GNUTLS_CRD_CERTIFICATE:
        read_certificate(session, ret_peer);
        break;
    case GNUTLS_CRD_ANON:
    case GNUTLS_CRD_SRP:
    case GNUTLS_CRD_IA:
        break;
    }
}

void
tls_peer_set_cid(struct tls_peer *peer, unsigned cid)
{
    *peer = (struct tls_peer){.is_user = true, .nr = 1};
    (void)snprintf(peer->names[0], sizeof peer->names[0], "vsock:%u", cid);
}

static bool
is_name(const struct tls_peer *p, const char *text, size_t len)
{
    for (unsigned i = 0; i < p->nr; i++) {
        if (strlen(p->names[i]) == len &&
            (p->is_user ? strncmp(p->names[i], text, len)
                        : strncasecmp(p->names[i], text, len)) == 0) {
            return true;
        }
    }
    return false;
}

bool
tls_peer_is_in(const struct tls_peer *peer, const char *allowed)
{
    for (;;) {
        size_t len = strcspn(allowed, ",");

        if (len > 0 && is_name(peer, allowed, len)) {
            return true;
        }
        if (allowed[len] == '\0') {
            return false;
        }
        allowed += len + 1;
    }
}

const char *
tls_peer_text(const struct tls_peer *peer, char *buf, size_t size)
{
    size_t n = 0;

    (void)snprintf(buf, size, "a peer without a name");
    for (unsigned i = 0; i < peer->nr && n < size; i++) {
        n += (size_t)snprintf(buf + n, size - n, "%s%s", i > 0 ? ", " : "",
                              peer->names[i]);
    }
    return buf;
}
