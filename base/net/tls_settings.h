/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_settings.h (tls_*) - who this process is to others, and whom it trusts: the files
 * of its TLS. A process is one service or one command, so there is one answer; it is
 * set once, before threads start, as the name in log lines is. */
#ifndef BATON_TLS_SETTINGS_H
#define BATON_TLS_SETTINGS_H

#include <stdbool.h>

struct tls_settings {
    char *certificates;   /* a folder: ca-cert.pem, server-cert.pem, server-key.pem,
                           * client-cert.pem, client-key.pem, ca-crl.pem if there is one;
                           * NULL: none */
    char *psk;            /* a file of psktool; NULL: none. Never with certificates */
    char *psk_user;       /* who we are in it, as a client */
    bool is_plain_tcp_ok; /* without TLS also to and from other hosts. Never with it */
};

/* settings stay the caller's and outlive every use; NULL: back to none. */
void tls_settings_set(const struct tls_settings *settings);

/* Never NULL: without settings nothing is set. */
const struct tls_settings *tls_settings_get(void);

/* Are there certificates or keys? Then every TCP connection needs TLS. */
bool tls_is_on(const struct tls_settings *settings);

#endif
