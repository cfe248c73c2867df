/* SPDX-License-Identifier: BSD-3-Clause */
/* nbdkit reads certificates and the revocation list once, at its start. A certificate
 * that was renewed on disk would expire in memory, and one that was revoked would still
 * be let in. So before each handshake of a server the files are looked at, and when
 * they have changed the session gets new credentials, made as nbdkit makes its own
 * (gnutls_credentials_set() replaces those that it has set).
 *
 * Old ones are never freed: a session may still use them, and a renewal is rare. What
 * cannot be loaded, as between the change of a certificate and that of its key, is said
 * once, and what was loaded last stays. Keys of --tls-psk are read at each handshake by
 * gnutls itself. */
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard_tls.h"

enum { CA, CRL, CERT, KEY, NR_FILES };

struct seen {
    struct {
        ino_t ino;
        off_t size;
        struct timespec changed;
    } file[NR_FILES]; /* zero for one that is not there */
};

static const char *const names[NR_FILES] = {"ca-cert.pem", "ca-crl.pem",
                                            "server-cert.pem", "server-key.pem"};
static char *paths[NR_FILES]; /* set once, before there are connections; NULL: none */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* leaf, of what follows */
static struct seen loaded, refused;
static gnutls_certificate_credentials_t renewed; /* NULL: nbdkit's are still good */

static struct seen
look(void)
{
    struct seen now = {0};
    struct stat st;

    for (unsigned i = 0; i < NR_FILES; i++) {
        if (stat(paths[i], &st) == 0) {
            now.file[i].ino = st.st_ino;
            now.file[i].size = st.st_size;
            now.file[i].changed = st.st_ctim;
        }
    }
    return now;
}

/* Of nbdkit's own, which it has loaded a moment ago. */
void
baton_guard_tls_watch(const char *folder)
{
    for (unsigned i = 0; i < NR_FILES; i++) {
        if (asprintf(&paths[i], "%s/%s", folder, names[i]) < 0) {
            paths[0] = NULL; /* no memory: as without us */
            return;
        }
    }
    loaded = refused = look();
}

static void
say(const char *what, const char *why)
{
    char line[300];
    int n = snprintf(line, sizeof line, "baton: TLS listener: %s%s%s\n", what,
                     why != NULL ? ": " : "", why != NULL ? why : "");

    if (write(STDERR_FILENO, line, (size_t)n) < 0) {
        return; /* a log that is full is no reason to do anything else */
    }
}

/* 0 or an error of gnutls. */
static int
load(const struct seen *now, gnutls_certificate_credentials_t *ret_creds)
{
    gnutls_certificate_credentials_t creds;
    int rc = gnutls_certificate_allocate_credentials(&creds);

    if (rc < 0) {
        return rc;
    }
    rc = gnutls_certificate_set_x509_trust_file(creds, paths[CA], GNUTLS_X509_FMT_PEM);
    if (rc >= 0 && now->file[CRL].ino != 0) {
        rc = gnutls_certificate_set_x509_crl_file(creds, paths[CRL],
                                                  GNUTLS_X509_FMT_PEM);
    }
    if (rc >= 0) {
        rc = gnutls_certificate_set_x509_key_file(creds, paths[CERT], paths[KEY],
                                                  GNUTLS_X509_FMT_PEM);
    }
    if (rc < 0) {
        gnutls_certificate_free_credentials(creds);
        return rc;
    }
    *ret_creds = creds;
    return 0;
}

static void
renew_locked(const struct seen *now)
{
    int rc = load(now, &renewed);

    if (rc == 0) {
        loaded = refused = *now;
        say("its certificates have changed and were read again", NULL);
    } else if (memcmp(now, &refused, sizeof *now) != 0) {
        refused = *now;
        say("its certificates have changed and cannot be read; the old ones stay in "
            "use",
            gnutls_strerror(rc));
    }
}

void
guard_tls_renew(gnutls_session_t session)
{
    struct seen now;

    if (paths[0] == NULL) {
        return;
    }
    now = look();
    (void)pthread_mutex_lock(&lock);
    if (memcmp(&now, &loaded, sizeof now) != 0) {
        renew_locked(&now);
    }
    if (renewed != NULL) {
        /* Without it: nbdkit's own, which were good when it was started. */
        (void)gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, renewed);
    }
    (void)pthread_mutex_unlock(&lock);
}
