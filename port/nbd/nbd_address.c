/* SPDX-License-Identifier: BSD-3-Clause */
#include "nbd_address.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Split HOST:PORT or [V6]:PORT; returns the port, NULL if there is none. */
static const char *
split_host(const char *s, char host[NBD_HOST_MAX])
{
    const char *colon = strrchr(s, ':');
    size_t len = colon != NULL ? (size_t)(colon - s) : 0;

    if (len >= 2 && s[0] == '[' && s[len - 1] == ']') {
        s++;
        len -= 2;
    }
    if (colon == NULL || len == 0 || len >= NBD_HOST_MAX || colon[1] == '\0') {
        return NULL;
    }
    memcpy(host, s, len);
    host[len] = '\0';
    return colon + 1;
}

static bool
parse_u32(const char *s, uint32_t *ret_n)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(s, &end, 10);
    if (s[0] < '0' || s[0] > '9' || *end != '\0' || errno != 0 || n > UINT32_MAX) {
        return false;
    }
    *ret_n = (uint32_t)n;
    return true;
}

int
nbd_address_parse(const char *s, struct err *e, struct nbd_address *ret_address)
{
    struct nbd_address a = {.kind = NBD_URI, .rest = s};

    if (strncmp(s, "unix:", 5) == 0) {
        a.kind = NBD_UNIX;
        a.rest = s + 5;
    } else if (strncmp(s, "tcp:", 4) == 0) {
        a.kind = NBD_TCP;
        a.rest = split_host(s + 4, a.host);
        if (a.rest == NULL) {
            return err_set(e, -EINVAL, "%s: is not tcp:HOST:PORT", s);
        }
    } else if (strncmp(s, "vsock:", 6) == 0) {
        a.kind = NBD_VSOCK;
        a.rest = split_host(s + 6, a.host);
        if (a.rest == NULL || !parse_u32(a.host, &a.cid) ||
            !parse_u32(a.rest, &a.port)) {
            return err_set(e, -EINVAL, "%s: is not vsock:CID:PORT", s);
        }
    }
    *ret_address = a;
    return 0;
}
