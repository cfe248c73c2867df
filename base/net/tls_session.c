/* SPDX-License-Identifier: BSD-3-Clause */
/* Credentials and handshakes. What is asked of the other side is as strict as can be:
 * TLS 1.2 or newer, a certificate also of clients, made by our authority for this
 * purpose, and of a server for the name by which it was called. */
#include "tls_session.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "tls.h"

#define VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define NOT_VERIFIED ((unsigned)-1) /* gnutls: it has not come to that */
#define KEYS_ONLY ":-KX-ALL:+ECDHE-PSK:+DHE-PSK"

static int
refuse_file(const char *path, const char *why, struct err *e)
{
    return err_set(e, -EINVAL, "TLS: %s: %s", path, why);
}

static int
check_readable(const char *path, struct err *e)
{
    return access(path, R_OK) < 0 ? refuse_file(path, strerrordesc_np(errno), e) : 0;
}

static int
path_of(char path[PATH_MAX], const struct tls_settings *t, const char *name,
        struct err *e)
{
    if (snprintf(path, PATH_MAX, "%s/%s", t->certificates, name) >= PATH_MAX) {
        return refuse_file(t->certificates, "the path is too long", e);
    }
    return 0;
}

/* The same, of a file that has to be there. */
static int
find_file(char path[PATH_MAX], const struct tls_settings *t, const char *name,
          struct err *e)
{
    int rc = path_of(path, t, name, e);

    return rc < 0 ? rc : check_readable(path, e);
}

static int
load_authority(struct tls_session *s, const struct tls_settings *t, struct err *e)
{
    char path[PATH_MAX];
    int n, rc = find_file(path, t, "ca-cert.pem", e);

    if (rc < 0) {
        return rc;
    }
    n = gnutls_certificate_set_x509_trust_file(s->certificates, path,
                                               GNUTLS_X509_FMT_PEM);
    if (n <= 0) {
        return refuse_file(
            path, n == 0 ? "it contains no certificate" : gnutls_strerror(n), e);
    }
    rc = path_of(path, t, "ca-crl.pem", e);
    if (rc < 0 || access(path, F_OK) < 0) {
        return rc; /* nothing was ever revoked */
    }
    n = gnutls_certificate_set_x509_crl_file(s->certificates, path,
                                             GNUTLS_X509_FMT_PEM);
    return n < 0 ? refuse_file(path, gnutls_strerror(n), e) : 0;
}

/* Others would refuse us, each with a riddle of its own. */
static int
check_time(struct tls_session *s, const char *path, struct err *e)
{
    gnutls_x509_crt_t *list;
    time_t now = time(NULL);
    unsigned nr = 0;
    int rc = gnutls_certificate_get_x509_crt(s->certificates, 0, &list, &nr);

    if (rc < 0 || nr == 0) {
        return refuse_file(path, "it contains no certificate", e);
    }
    if (gnutls_x509_crt_get_expiration_time(list[0]) < now) {
        rc = refuse_file(path, "the certificate has expired", e);
    } else if (gnutls_x509_crt_get_activation_time(list[0]) > now) {
        rc = refuse_file(path, "the certificate is not valid yet", e);
    }
    while (nr > 0) {
        gnutls_x509_crt_deinit(list[--nr]);
    }
    gnutls_free(list);
    return rc;
}

static int
load_own(struct tls_session *s, const struct tls_settings *t, bool is_server,
         struct err *e)
{
    char cert[PATH_MAX], key[PATH_MAX];
    int n, rc;

    rc = find_file(cert, t, is_server ? "server-cert.pem" : "client-cert.pem", e);
    if (rc < 0) {
        return rc;
    }
    rc = find_file(key, t, is_server ? "server-key.pem" : "client-key.pem", e);
    if (rc < 0) {
        return rc;
    }
    n = gnutls_certificate_set_x509_key_file(s->certificates, cert, key,
                                             GNUTLS_X509_FMT_PEM);
    return n < 0 ? refuse_file(cert, gnutls_strerror(n), e) : check_time(s, cert, e);
}

static int
load_certificates(struct tls_session *s, const struct tls_settings *t, bool is_server,
                  struct err *e)
{
    int rc = gnutls_certificate_allocate_credentials(&s->certificates);

    if (rc < 0) {
        return err_set(e, -ENOMEM, "TLS: %s", gnutls_strerror(rc));
    }
    rc = load_authority(s, t, e);
    return rc == 0 ? load_own(s, t, is_server, e) : rc;
}

/* The user's key of a file with lines USER:HEX, to be freed. */
static int
find_key(const struct tls_settings *t, struct err *e, char **ret_hex)
{
    AUTO_FILE FILE *f = fopen(t->psk, "re");
    AUTO_FREE char *line = NULL;
    size_t size = 0, user_len = strlen(t->psk_user);
    ssize_t len;

    if (f == NULL) {
        return refuse_file(t->psk, strerrordesc_np(errno), e);
    }
    while ((len = getline(&line, &size, f)) > 0) {
        if (line[len - 1] == '\n') {
            line[len - 1] = '\0';
        }
        if (strncmp(line, t->psk_user, user_len) == 0 && line[user_len] == ':') {
            *ret_hex = strdup(line + user_len + 1);
            return *ret_hex != NULL ? 0 : err_set(e, -ENOMEM, "out of memory");
        }
    }
    return err_set(e, -EINVAL, "TLS: %s has no key of the user %s", t->psk,
                   t->psk_user);
}

static int
load_client_key(struct tls_session *s, const struct tls_settings *t, struct err *e)
{
    AUTO_FREE char *hex = NULL;
    gnutls_datum_t key;
    int rc;

    if (t->psk_user == NULL) {
        return err_set(e, -EINVAL,
                       "TLS: tls-psk-user is missing; it says which key of %s is ours",
                       t->psk);
    }
    rc = find_key(t, e, &hex);
    if (hex == NULL) {
        return rc;
    }
    key = (gnutls_datum_t){.data = (unsigned char *)hex, .size = (unsigned)strlen(hex)};
    rc = gnutls_psk_allocate_client_credentials(&s->psk_client);
    if (rc >= 0) {
        rc = gnutls_psk_set_client_credentials(s->psk_client, t->psk_user, &key,
                                               GNUTLS_PSK_KEY_HEX);
    }
    gnutls_memset(hex, 0, key.size);
    return rc < 0 ? refuse_file(t->psk, gnutls_strerror(rc), e) : 0;
}

static int
load_server_keys(struct tls_session *s, const struct tls_settings *t, struct err *e)
{
    int rc = check_readable(t->psk, e);

    if (rc < 0) {
        return rc;
    }
    rc = gnutls_psk_allocate_server_credentials(&s->psk_server);
    if (rc >= 0) {
        rc = gnutls_psk_set_server_credentials_file(s->psk_server, t->psk);
    }
    return rc < 0 ? refuse_file(t->psk, gnutls_strerror(rc), e) : 0;
}

static int
set_certificates(struct tls_session *s, const char *host, struct err *e)
{
    const char *purpose =
        host == NULL ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER;
    int rc =
        gnutls_credentials_set(s->session, GNUTLS_CRD_CERTIFICATE, s->certificates);

    if (rc < 0) {
        return err_set(e, -EINVAL, "TLS: %s", gnutls_strerror(rc));
    }
    if (host == NULL) {
        gnutls_certificate_server_set_request(s->session, GNUTLS_CERT_REQUIRE);
    }
    (void)snprintf(s->host, sizeof s->host, "%s", host != NULL ? host : "");
    s->wanted[0].type = GNUTLS_DT_KEY_PURPOSE_OID;
    s->wanted[0].data = (unsigned char *)(uintptr_t)purpose;
    s->wanted[1].type = GNUTLS_DT_DNS_HOSTNAME;
    s->wanted[1].data = (unsigned char *)s->host;
    gnutls_session_set_verify_cert2(s->session, s->wanted, host == NULL ? 1 : 2, 0);
    return 0;
}

static int
set_keys(struct tls_session *s, const char *host, struct err *e)
{
    int rc = gnutls_credentials_set(s->session, GNUTLS_CRD_PSK,
                                    host == NULL ? (void *)s->psk_server
                                                 : (void *)s->psk_client);

    return rc < 0 ? err_set(e, -EINVAL, "TLS: %s", gnutls_strerror(rc)) : 0;
}

static int
load(struct tls_session *s, const struct tls_settings *t, bool is_server, struct err *e)
{
    if (t->certificates != NULL) {
        return load_certificates(s, t, is_server, e);
    }
    return is_server ? load_server_keys(s, t, e) : load_client_key(s, t, e);
}

int
tls_session_init(struct tls_session *s, const struct tls_settings *t, const char *host,
                 struct err *e)
{
    unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;
    int rc;

    *s = (struct tls_session){.session = NULL};
    rc = load(s, t, host == NULL, e);
    if (rc == 0) {
        int n = gnutls_init(&s->session,
                            flags | (host == NULL ? GNUTLS_SERVER : GNUTLS_CLIENT));

        if (n >= 0) {
            n = gnutls_priority_set_direct(
                s->session, t->psk != NULL ? VERSIONS KEYS_ONLY : VERSIONS, NULL);
        }
        rc = n < 0 ? err_set(e, -EINVAL, "TLS: %s", gnutls_strerror(n)) : 0;
    }
    if (rc == 0) {
        gnutls_session_set_ptr(s->session, s); /* not nbdkit's: see entry_guard_tls.c */
        rc = t->psk != NULL ? set_keys(s, host, e) : set_certificates(s, host, e);
    }
    if (rc < 0) {
        tls_session_done(s);
    }
    return rc;
}

void
tls_session_done(struct tls_session *s)
{
    if (s->session != NULL) {
        gnutls_deinit(s->session);
    }
    if (s->certificates != NULL) {
        gnutls_certificate_free_credentials(s->certificates);
    }
    if (s->psk_server != NULL) {
        gnutls_psk_free_server_credentials(s->psk_server);
    }
    if (s->psk_client != NULL) {
        gnutls_psk_free_client_credentials(s->psk_client);
    }
    *s = (struct tls_session){.session = NULL};
}

static int
explain_certificate(unsigned status, struct err *e)
{
    gnutls_datum_t text = {.data = NULL};
    int rc =
        gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);

    rc = err_set(e, -EACCES, "%s",
                 rc >= 0 ? (char *)text.data
                         : "the certificate of the other side is not valid");
    gnutls_free(text.data);
    return rc;
}

/* One sentence for n, which a handshake has ended with. */
static int
explain(struct tls_session *s, int n, struct err *e)
{
    unsigned status = gnutls_session_get_verify_cert_status(s->session);

    if (status != 0 && status != NOT_VERIFIED) {
        return explain_certificate(status, e);
    }
    switch (n) {
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
        return err_set(e, -EACCES, "the other side refuses us: %s",
                       gnutls_alert_get_name(gnutls_alert_get(s->session)));
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
    case GNUTLS_E_CERTIFICATE_REQUIRED:
        return err_set(e, -EACCES,
                       "the other side has no certificate of our authority");
    case GNUTLS_E_DECRYPTION_FAILED:
    case GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER: /* a PSK that is not ours, in TLS 1.3 */
        return err_set(e, -EACCES, "the key of the other side is not ours: %s",
                       gnutls_strerror(n));
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
    case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
    case GNUTLS_E_UNEXPECTED_PACKET:
    case GNUTLS_E_RECORD_OVERFLOW:
        return err_set(e, -EPROTO, "the other side does not speak TLS: %s",
                       gnutls_strerror(n));
    default:
        return err_set(e, -EPROTO, "TLS handshake: %s", gnutls_strerror(n));
    }
}

int
tls_session_handshake(struct tls_session *s, int fd, uint64_t deadline_ns,
                      struct err *e)
{
    struct pollfd p = {.fd = fd};
    int n;

    gnutls_transport_set_int(s->session, fd);
    while ((n = gnutls_handshake(s->session)) < 0) {
        if (n != GNUTLS_E_AGAIN && gnutls_error_is_fatal(n) == 0) {
            continue; /* interrupted, or a warning */
        }
        if (n != GNUTLS_E_AGAIN) {
            /* Tell the other side why; it may be gone. */
            (void)gnutls_alert_send_appropriate(s->session, n);
            return explain(s, n, e);
        }
        p.events = gnutls_record_get_direction(s->session) == 1 ? POLLOUT : POLLIN;
        if (poll(&p, 1, clock_poll_ms(deadline_ns)) < 0 && errno != EINTR) {
            return err_set(e, -errno, "TLS handshake: cannot wait for the socket");
        }
        if (clock_now_ns() >= deadline_ns) {
            return err_set(e, -ETIMEDOUT, "the TLS handshake did not end in time");
        }
    }
    return 0;
}

int
tls_check(const struct tls_settings *t, bool is_server, struct err *e)
{
    struct tls_session s = {.session = NULL};
    int rc;

    if (!tls_is_on(t)) {
        return 0;
    }
    if (is_server) {
        rc = tls_session_init(&s, t, NULL, e);
        tls_session_done(&s);
        if (rc < 0) {
            return rc;
        }
    }
    rc = tls_session_init(&s, t, "", e);
    tls_session_done(&s);
    return rc;
}
