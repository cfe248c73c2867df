/* SPDX-License-Identifier: BSD-3-Clause */
#include "tls_settings.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

static const struct tls_settings none;
static const struct tls_settings *current = &none; /* set before threads start */

void
tls_settings_set(const struct tls_settings *settings)
{
    current = settings != NULL ? settings : &none;
}

const struct tls_settings *
tls_settings_get(void)
{
    return current;
}

bool
tls_is_on(const struct tls_settings *settings)
{
    return settings->certificates != NULL || settings->psk != NULL;
}

bool
host_is_loopback(const char *host)
{
    struct in6_addr a6;
    struct in_addr a4;

    if (strcmp(host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, host, &a4) == 1) {
        return (ntohl(a4.s_addr) >> 24) == IN_LOOPBACKNET;
    }
    return inet_pton(AF_INET6, host, &a6) == 1 && IN6_IS_ADDR_LOOPBACK(&a6);
}
